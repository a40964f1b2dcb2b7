/* SPDX-License-Identifier: Apache-2.0 */
/* instance.c - one instance of the made-up service: NAME NUMBER. Runs until it is killed. */
#include "fabric.h"

#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    struct fabric f;
    int instance;

    if (argc != 3)
        return 2;
    instance = atoi(argv[2]);
    fabric_attach(&f, argv[1]);
    fabric_consumer(&f, NULL, &instance);
    for (;;)
        pause();
}
