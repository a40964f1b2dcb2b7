/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - an nng socket that outlives peers which hang up too early. */
#include "internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * nng 1.5.2 (Debian 12; its issue 1518) takes the EPIPE of a peer that closed during the handshake
 * for the closing of its own listener or dialer, and never accepts or dials again. A connection
 * that was reset, it survives. So this stands in for the C library's sendmsg() in the program.
 */
ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ssize_t n = (ssize_t)syscall(SYS_sendmsg, fd, msg, flags);

    if (n < 0 && errno == EPIPE)
        errno = ECONNRESET;
    return n;
}

int
rpc_socket_open(nng_socket *socket, int (*open_protocol)(nng_socket *))
{
    int rv = open_protocol(socket);

    return rv ? rv : nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, RPC_MESSAGE_MAX);
}
