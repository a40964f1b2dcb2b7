/* SPDX-License-Identifier: Apache-2.0 */
/* postgres.c - where the private cluster lives and who runs it. postgres_child.c runs it. */
#include "postgres.h"

#include "localdir/localdir.h"

#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIN_PATTERN "/usr/lib/postgresql/*/bin/postgres"
#define HOMES "/var/lib/modelbus"
#define SOCKET_NAME "/.s.PGSQL.5432.lock"
#define SOCKET_PATH_MAX 107

/* The newest server, or the one that made the data: majors do not read each other's. */
static enum err_code
find_programs(struct postgres *postgres, struct err *err)
{
    CLEANUP(mem_free) char *version_file = mem_printf("%s/data/PG_VERSION", postgres->home);
    FILE *file = fopen(version_file, "re");
    int wanted = 0, best = 0;
    glob_t found;

    if (file) {
        if (fscanf(file, "%d", &wanted) != 1)
            wanted = 0;
        fclose(file);
    }
    if (glob(BIN_PATTERN, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            int version = atoi(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"));
            if (version <= best || (wanted && version != wanted))
                continue;
            best = version;
            free(postgres->bin);
            postgres->bin =
                mem_strndup(found.gl_pathv[i], strlen(found.gl_pathv[i]) - strlen("/postgres"));
        }
    }
    globfree(&found);
    if (best)
        return ERR_OK;
    if (wanted)
        return err_set(err, ERR_NOT_FOUND,
                       "%s was made by PostgreSQL %d, which is not installed: apt-get install "
                       "postgresql-%d",
                       postgres->home, wanted, wanted);
    return err_set(err, ERR_NOT_FOUND,
                   "no PostgreSQL server here: apt-get install postgresql, or use --postgres URL");
}

/* Whether uid can enter path, as the kernel sees it. */
static bool
can_enter(const struct postgres *postgres, const char *path)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (setgroups(0, NULL) || setgid(postgres->gid) || setuid(postgres->uid))
            _exit(1);
        _exit(access(path, X_OK) == 0 ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static enum err_code
choose_user(struct postgres *postgres, struct err *err)
{
    postgres->uid = geteuid();
    postgres->gid = getegid();
    if (postgres->uid != 0)
        return ERR_OK;
    const struct passwd *entry = getpwnam("postgres");
    if (!entry)
        return err_set(err, ERR_NOT_FOUND,
                       "PostgreSQL does not run as root and there is no user postgres: apt-get "
                       "install postgresql, or use --postgres URL");
    postgres->uid = entry->pw_uid;
    postgres->gid = entry->pw_gid;
    postgres->user = mem_strdup(entry->pw_name);
    return ERR_OK;
}

static enum err_code
make_owned(const struct postgres *postgres, const char *path, struct err *err)
{
    if (localdir_make(path, 0755, err))
        return err->code;
    if (chmod(path, 0700) || (postgres->user && chown(path, postgres->uid, postgres->gid)))
        return err_set(err, ERR_UNAVAILABLE, "folder %s: %s", path, strerror(errno));
    return ERR_OK;
}

static enum err_code
choose_home(struct postgres *postgres, const char *dir, json_t *state, struct err *err)
{
    CLEANUP(mem_free) char *local = localdir_path(dir, "postgres");
    const char *known = json_string_value(json_object_get(state, "postgres_home"));
    char made[] = HOMES "/XXXXXX";

    if (known) {
        postgres->home = mem_strdup(known);
        return make_owned(postgres, known, err);
    }
    if (!postgres->user || can_enter(postgres, dir)) {
        postgres->home = mem_strdup(local);
    } else {
        if (localdir_make(HOMES, 0755, err))
            return err->code;
        if (!mkdtemp(made))
            return err_set(err, ERR_UNAVAILABLE, "folder in " HOMES ": %s", strerror(errno));
        if (symlink(made, local) && errno != EEXIST)
            return err_set(err, ERR_UNAVAILABLE, "link %s: %s", local, strerror(errno));
        postgres->home = mem_strdup(made);
    }
    json_object_set_new(state, "postgres_home", json_string(postgres->home));
    return make_owned(postgres, postgres->home, err);
}

static enum err_code
choose_socket_dir(struct postgres *postgres, json_t *state, struct err *err)
{
    const char *known = json_string_value(json_object_get(state, "postgres_socket_dir"));
    char made[] = "/tmp/modelbus-XXXXXX";
    struct stat st;

    if (strlen(postgres->home) + strlen(SOCKET_NAME) <= SOCKET_PATH_MAX) {
        postgres->socket_dir = mem_strdup(postgres->home);
        return ERR_OK;
    }
    /* /tmp may have been cleaned, or somebody else may sit there by now. */
    if (known && lstat(known, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == postgres->uid) {
        postgres->socket_dir = mem_strdup(known);
        return ERR_OK;
    }
    if (!mkdtemp(made))
        return err_set(err, ERR_UNAVAILABLE, "folder in /tmp: %s", strerror(errno));
    postgres->socket_dir = mem_strdup(made);
    json_object_set_new(state, "postgres_socket_dir", json_string(made));
    return make_owned(postgres, made, err);
}

enum err_code
postgres_plan(struct postgres *postgres, const char *dir, json_t *state, struct err *err)
{
    if (choose_user(postgres, err) || choose_home(postgres, dir, state, err) ||
        choose_socket_dir(postgres, state, err))
        return err->code;
    return find_programs(postgres, err);
}

void
postgres_done(struct postgres *postgres)
{
    free(postgres->home);
    free(postgres->socket_dir);
    free(postgres->bin);
    free(postgres->user);
}

char *
postgres_url(const struct postgres *postgres)
{
    char *url = mem_strdup("postgresql://modelbus@/modelbus?host=");

    for (const char *p = postgres->socket_dir; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("/-_.~", *p);
        char *longer =
            plain ? mem_printf("%s%c", url, *p) : mem_printf("%s%%%02X", url, (unsigned char)*p);
        free(url);
        url = longer;
    }
    return url;
}

/* postmaster.pid: line 1 the pid, line 8 the status (src/include/utils/pidfile.h). */
bool
postgres_ready(const struct part *part)
{
    const struct postgres *postgres = part->arg;
    CLEANUP(mem_free) char *path = mem_printf("%s/data/postmaster.pid", postgres->home);
    FILE *file = fopen(path, "re");
    char line[256];
    bool ready = false;

    if (!file)
        return false;
    for (int n = 1; fgets(line, sizeof(line), file); n++) {
        if (n == 1 && atoi(line) != part->pid)
            break;
        if (n == 8)
            ready = strncmp(line, "ready", 5) == 0;
    }
    fclose(file);
    return ready;
}
