/*
 * prompt_view.h - how a prompt looks
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROMPT_VIEW_H
#define PROMPT_VIEW_H

#include "cli/cli.h"

/* tty: the question and how to answer it.  Pipe: one line, "prompt" first. */
void prompt_print(const struct cli *cli, const json_t *prompt);

#endif
