#!/usr/bin/env bash
# Builds the guests in Go and C: `languages.sh go`, `languages.sh c`, or both without a word. Needs Go
# 1.24; for C ziglang (`pip install ziglang`) in the python that $PYTHON names, python3 by default.
set -euo pipefail
cd "$(dirname "$0")"

go_guests() {
    mkdir -p go/target
    for guest in identity orders state; do
        (cd go && GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w" -o "target/$guest.wasm" "./$guest")
    done
}

# The templates are the guests.
c_guest() {
    "${PYTHON:-python3}" -m ziglang cc -target wasm32-wasi -mexec-model=reactor -O3 -s -Wall -Wextra -Werror \
        -I ../sdk/c -o "c/target/$1.wasm" "../sdk/c/templates/$2/main.c" "../sdk/c/$2.c"
}

c_guests() {
    mkdir -p c/target
    c_guest shout transform
    c_guest wrap handler
}

[ $# -gt 0 ] || set -- go c
for language in "$@"; do
    case $language in
        go) go_guests ;;
        c) c_guests ;;
        *) echo "no guests in $language" >&2 && exit 2 ;;
    esac
done
