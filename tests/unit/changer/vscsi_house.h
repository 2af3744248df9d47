/*
 * vscsi_house.h - an emulated library in place of the robot
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CHANGER_VSCSI_HOUSE_H
#define CHANGER_VSCSI_HOUSE_H

#include <vscsi.h>

struct house {
    struct vscsi_library *library;
    struct vscsi_drive *drives[2];
    char folder[64];
};

extern struct house house;

/* Two mail slots, three cartridges in the first slots; robot.pdo is its
 * robot's, not started. */
void house_build(const char *personality, unsigned slots, unsigned drives);
void house_tear_down(void);

#endif
