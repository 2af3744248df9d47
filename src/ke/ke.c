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

/* Work items may queue DPCs and DPCs work items: until neither is left. */
void
ke_shutdown(void)
{
    bool more;

    KE_RULE(ke_irql == PASSIVE_LEVEL, "ke_shutdown is called at PASSIVE_LEVEL");
    do {
        more = ke_workers_stop();
        more |= ke_dpc_thread_stop();
    } while (more);
    ke_spawned_join();
}
