/*
 * house.h - a whole service with one emulated library, for tests
 *
 * Library "shelf": slots, mail slots and drives as asked; cartridges
 * LTO001L6, LTO002L6, ... of 64 KiB in the slots in this order, then CLN001L1.
 * State and media are in memory (/dev/shm).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef HOUSE_H
#define HOUSE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <reinsert.h>
#include <vscsi.h>

struct house {
    char folder[64];
    struct ri_config config;
    struct ri_library_config library;
    struct ri_service *service;
    struct vscsi_library *device;
    struct ri_library_result result; /* of the last command */
    struct ri_error error;
    /* What events told, a line each: "ACTION TEXT". */
    char *told;
    size_t told_len, told_max;
};

struct house *house_new(unsigned slots, unsigned mail_slots, unsigned drives,
                        unsigned cartridges);
void house_start(struct house *h);
void house_stop(struct house *h);
void house_free(struct house *h);

/* LOAD slot -> drive; returns what ri_library_command does. */
int house_load(struct house *h, uint32_t slot, uint32_t drive);
int house_unload(struct house *h, uint32_t drive, uint32_t slot);
int house_transfer(struct house *h, uint32_t source, uint32_t destination);
int house_do(struct house *h, enum ri_library_op op);
int house_command(struct house *h, const struct ri_library_command *command);
void house_fault(struct house *h, const char *rule);
/* A rule for the drive NAME-n. */
void house_drive_fault(struct house *h, unsigned drive, const char *rule);
/* True when an event with that action and text was told since. */
bool house_told(struct house *h, const char *action, const char *text);
void house_forget(struct house *h);
/* The element as the API shows it. */
struct ri_element_info house_element(struct house *h,
                                     enum ri_element_type type,
                                     uint32_t number);
/* What the ledger and the robot say agrees with what is true: every cartridge
 * in exactly one place, drives with the medium that the robot put there. */
void house_check(struct house *h);

#endif
