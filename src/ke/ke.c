/*
 * ke.c - start and end
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

void
ke_init(void)
{
    ke_dpc_thread_start();
    ke_workers_start();
}

/* Work items may queue DPCs and DPCs work items: until neither is left.  What
 * other threads queue meanwhile, an adapter's perhaps, is run, too. */
void
ke_shutdown(void)
{
    unsigned begun;
    bool more;

    KE_RULE(ke_irql == PASSIVE_LEVEL, "ke_shutdown is called at PASSIVE_LEVEL");
    do {
        begun = ke_spawned_begun();
        do {
            more = ke_workers_stop();
            more |= ke_dpc_thread_stop();
        } while (more);
    } while (!ke_spawned_join(begun));
}
