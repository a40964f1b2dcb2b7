/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - a sorted array of callers by token digest, replaced by a thread. */
#include "tokens.h"

#include "life/life.h"
#include "log/log.h"
#include "sync/sync.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint8_t hash[32];
    int64_t expires_at_ms;
    struct auth_caller caller;
};

struct tokens {
    struct db_pool *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under lock. */
    struct entry *entries;
    size_t count;
    uint64_t changes; /* of this process; a read that began before one is not taken over */
    int64_t read_ms;  /* CLOCK_MONOTONIC */
    bool stopping;
};

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, 32); /* hash is the first member */
}

static void
fill(struct entry *entry, const struct token *token)
{
    *entry = (struct entry){.expires_at_ms = token->expires_at_ms};
    memcpy(entry->hash, token->hash, sizeof(entry->hash));
    entry->caller.roles = token->roles;
    snprintf(entry->caller.subject, sizeof(entry->caller.subject), "%s", token->subject);
    snprintf(entry->caller.workspace, sizeof(entry->caller.workspace), "%s", token->workspace);
    snprintf(entry->caller.scopes, sizeof(entry->caller.scopes), "%s", token->scopes);
}

static enum err_code
refresh(struct tokens *tokens, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct token *rows;
    size_t count;

    pthread_mutex_lock(&tokens->lock);
    uint64_t changes = tokens->changes;
    pthread_mutex_unlock(&tokens->lock);
    int64_t began = life_monotonic_ms();
    if (db_borrow(tokens->db, &db, err) ||
        store_live_tokens(db, life_now_ms(), TOKENS_MAX, arena, &rows, &count, err))
        return err->code;
    struct entry *entries = mem_calloc(count, sizeof(*entries));
    for (size_t i = 0; i < count; i++)
        fill(&entries[i], &rows[i]);
    qsort(entries, count, sizeof(*entries), compare);

    pthread_mutex_lock(&tokens->lock);
    if (changes == tokens->changes) {
        struct entry *old = tokens->entries;
        tokens->entries = entries;
        tokens->count = count;
        tokens->read_ms = began;
        entries = old;
    }
    pthread_mutex_unlock(&tokens->lock);
    free(entries);
    return ERR_OK;
}

static void *
follow(void *arg)
{
    struct tokens *tokens = arg;
    bool failing = false;
    struct err err;

    pthread_mutex_lock(&tokens->lock);
    while (!tokens->stopping) {
        if (sync_wait(&tokens->wake, &tokens->lock, life_monotonic_ms() + TOKENS_REFRESH_MS))
            continue;
        pthread_mutex_unlock(&tokens->lock);
        bool failed = refresh(tokens, &err) != ERR_OK;
        if (failed && !failing)
            log_warn("tokens cannot be read again; the last copy serves", LOG_ERR(&err));
        failing = failed;
        pthread_mutex_lock(&tokens->lock);
    }
    pthread_mutex_unlock(&tokens->lock);
    return NULL;
}

enum err_code
tokens_start(struct tokens **out, struct db_pool *db, struct err *err)
{
    struct tokens *tokens = mem_zalloc(sizeof(*tokens));

    tokens->db = db;
    pthread_mutex_init(&tokens->lock, NULL);
    sync_cond_init(&tokens->wake);
    if (refresh(tokens, err) || pthread_create(&tokens->thread, NULL, follow, tokens) != 0) {
        free(tokens->entries);
        free(tokens);
        return err->code ? err->code : err_set(err, ERR_INTERNAL, "cannot start a thread");
    }
    *out = tokens;
    return ERR_OK;
}

void
tokens_stop(struct tokens *tokens)
{
    if (!tokens)
        return;
    pthread_mutex_lock(&tokens->lock);
    tokens->stopping = true;
    pthread_cond_signal(&tokens->wake);
    pthread_mutex_unlock(&tokens->lock);
    pthread_join(tokens->thread, NULL);
    pthread_cond_destroy(&tokens->wake);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens->entries);
    free(tokens);
}

enum err_code
tokens_find(struct tokens *tokens, const uint8_t hash[32], int64_t now_ms,
            struct auth_caller *caller, struct err *err)
{
    enum err_code code = ERR_OK;

    pthread_mutex_lock(&tokens->lock);
    const struct entry *entry =
        bsearch(hash, tokens->entries, tokens->count, sizeof(*tokens->entries), compare);
    if (life_monotonic_ms() - tokens->read_ms > TOKENS_STALE_MS)
        code = err_set(err, ERR_UNAVAILABLE, "tokens cannot be checked: the database is away");
    else if (!entry || (entry->expires_at_ms && entry->expires_at_ms <= now_ms))
        code = err_set(err, ERR_UNAUTHENTICATED, "the token is unknown, revoked or expired");
    else
        *caller = entry->caller;
    pthread_mutex_unlock(&tokens->lock);
    return code;
}

static void
drop_locked(struct tokens *tokens, const uint8_t hash[32])
{
    struct entry *entry =
        bsearch(hash, tokens->entries, tokens->count, sizeof(*tokens->entries), compare);

    tokens->changes++;
    if (!entry)
        return;
    size_t behind = (size_t)(tokens->entries + tokens->count - entry) - 1;
    memmove(entry, entry + 1, behind * sizeof(*entry));
    tokens->count--;
}

void
tokens_put(struct tokens *tokens, const struct token *token)
{
    pthread_mutex_lock(&tokens->lock);
    drop_locked(tokens, token->hash);
    tokens->entries = mem_realloc(tokens->entries, (tokens->count + 1) * sizeof(*tokens->entries));
    fill(&tokens->entries[tokens->count++], token);
    qsort(tokens->entries, tokens->count, sizeof(*tokens->entries), compare);
    pthread_mutex_unlock(&tokens->lock);
}

void
tokens_drop(struct tokens *tokens, const uint8_t hash[32])
{
    pthread_mutex_lock(&tokens->lock);
    drop_locked(tokens, hash);
    pthread_mutex_unlock(&tokens->lock);
}
