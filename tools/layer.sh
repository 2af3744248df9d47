#!/bin/sh
# layer.sh BUILD ROOM SEES... - the include folder of one room: links to the
# rooms that it may see, so that any other include fails to compile.
#
# SPDX-License-Identifier: MIT
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
dir=$1/layer/$2
room=$2
shift 2
rm -rf "$dir"
mkdir -p "$dir"
folder() {
    case $1 in
    fdo | disk | cdrom | changer | mcd | tape | minitape)
        echo "$top/src/drivers/$1" ;;
    tapes) echo "$top/src/tape" ;;
    tapelink) echo "$top/front/tape" ;;
    nbd | api | cli | tapefuse) echo "$top/front/$1" ;;
    test) echo "$top/tests" ;;
    *) echo "$top/src/$1" ;;
    esac
}
ln -s "$(folder "$room")" "$dir/$room"
for seen in "$@"; do
    case $seen in
    nt | reinsert) ;;
    *) ln -s "$(folder "$seen")" "$dir/$seen" ;;
    esac
done
