/*
 * splay.c - splay trees: what was looked at last is at the root
 *
 * A root is its own parent.  Sleator and Tarjan, "Self-Adjusting Binary Search
 * Trees", 1985: bottom-up splaying in pairs of rotations.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

static void
replace_child(PRTL_SPLAY_LINKS old, PRTL_SPLAY_LINKS fresh)
{
    PRTL_SPLAY_LINKS parent = old->Parent;

    if (parent == old) {
        if (fresh != NULL)
            fresh->Parent = fresh;
        return;
    }
    if (parent->LeftChild == old)
        parent->LeftChild = fresh;
    else
        parent->RightChild = fresh;
    if (fresh != NULL)
        fresh->Parent = parent;
}

/* The node goes to where its parent is, and the parent below it. */
static void
rotate_up(PRTL_SPLAY_LINKS node)
{
    PRTL_SPLAY_LINKS parent = node->Parent, inner;

    if (parent->LeftChild == node) {
        inner = node->RightChild;
        parent->LeftChild = inner;
        replace_child(parent, node);
        node->RightChild = parent;
    } else {
        inner = node->LeftChild;
        parent->RightChild = inner;
        replace_child(parent, node);
        node->LeftChild = parent;
    }
    parent->Parent = node;
    if (inner != NULL)
        inner->Parent = parent;
}

PRTL_SPLAY_LINKS NTAPI
RtlSplay(PRTL_SPLAY_LINKS Links)
{
    while (!RtlIsRoot(Links)) {
        PRTL_SPLAY_LINKS parent = Links->Parent;

        if (!RtlIsRoot(parent)) {
            bool same_side = RtlIsLeftChild(parent) == RtlIsLeftChild(Links);

            rotate_up(same_side ? parent : Links);
        }
        rotate_up(Links);
    }
    return Links;
}

PRTL_SPLAY_LINKS NTAPI
RtlSubtreeSuccessor(PRTL_SPLAY_LINKS Links)
{
    PRTL_SPLAY_LINKS next = Links->RightChild;

    while (next != NULL && next->LeftChild != NULL)
        next = next->LeftChild;
    return next;
}

PRTL_SPLAY_LINKS NTAPI
RtlSubtreePredecessor(PRTL_SPLAY_LINKS Links)
{
    PRTL_SPLAY_LINKS before = Links->LeftChild;

    while (before != NULL && before->RightChild != NULL)
        before = before->RightChild;
    return before;
}

/* NULL: it is the last. */
PRTL_SPLAY_LINKS NTAPI
RtlRealSuccessor(PRTL_SPLAY_LINKS Links)
{
    PRTL_SPLAY_LINKS next = RtlSubtreeSuccessor(Links);

    if (next != NULL)
        return next;
    while (!RtlIsRoot(Links) && RtlIsRightChild(Links))
        Links = Links->Parent;
    return RtlIsRoot(Links) ? NULL : Links->Parent;
}

/* NULL: it is the first. */
PRTL_SPLAY_LINKS NTAPI
RtlRealPredecessor(PRTL_SPLAY_LINKS Links)
{
    PRTL_SPLAY_LINKS before = RtlSubtreePredecessor(Links);

    if (before != NULL)
        return before;
    while (!RtlIsRoot(Links) && RtlIsLeftChild(Links))
        Links = Links->Parent;
    return RtlIsRoot(Links) ? NULL : Links->Parent;
}

/* Takes the node out; returns the deepest neighbour that changed, or NULL. */
static PRTL_SPLAY_LINKS
take_out(PRTL_SPLAY_LINKS node)
{
    PRTL_SPLAY_LINKS next, parent, child;

    if (node->LeftChild == NULL || node->RightChild == NULL) {
        child = node->LeftChild != NULL ? node->LeftChild : node->RightChild;
        parent = RtlIsRoot(node) ? child : node->Parent;
        replace_child(node, child);
        return parent;
    }
    next = RtlSubtreePredecessor(node);
    parent = next->Parent == node ? next : next->Parent;
    replace_child(next, next->LeftChild);
    next->LeftChild = node->LeftChild;
    next->RightChild = node->RightChild;
    if (next->LeftChild != NULL)
        next->LeftChild->Parent = next;
    next->RightChild->Parent = next;
    replace_child(node, next);
    return parent;
}

PRTL_SPLAY_LINKS NTAPI
RtlDelete(PRTL_SPLAY_LINKS Links)
{
    PRTL_SPLAY_LINKS near = take_out(Links);

    return near == NULL ? NULL : RtlSplay(near);
}

/* *Root becomes the new root, or NULL. */
VOID NTAPI
RtlDeleteNoSplay(PRTL_SPLAY_LINKS Links, PRTL_SPLAY_LINKS *Root)
{
    PRTL_SPLAY_LINKS near = take_out(Links);

    while (near != NULL && !RtlIsRoot(near))
        near = near->Parent;
    *Root = near;
}
