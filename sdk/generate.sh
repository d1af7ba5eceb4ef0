#!/usr/bin/env bash
# Writes the bindings of Go and C anew from wit/transform/world.wit. Needs wit-bindgen:
#   cargo install wit-bindgen-cli --version 0.63.0 --locked --no-default-features --features go,c
set -euo pipefail
cd "$(dirname "$0")"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

module=millrace.local/millrace/internal
go=go/internal/bindings
rm -rf "$go"
mkdir -p "$go"
for world in transform handler; do
    wit-bindgen go ../wit/transform guest.wit --world "millrace:sdk/$world" \
        --pkg-name "$module/bindings" --out-dir "$made" >&2
    # What the generated code calls lies in the SDK itself: a project needs no module proxy. The
    # package that the export calls is written by hand.
    find "$made" -name '*.go' -exec sed -i \
        -e "s#go.bytecodealliance.org/pkg/wit/#$module/wit/#" \
        -e "s#$module/bindings/exports/export_wit_world#$module/export_$world#" \
        -e "s#export_wit_world\.#export_$world.#" \
        -e "s#^package wit_exports#package $world#" {} +
    mkdir "$go/$world"
    mv "$made/exports/wit_exports/wit_exports.go" "$go/$world/"
    # No export mentions the world's own names of its types.
    rm -rf "$made/imports/wit_world"
done
mv "$made/imports" "$go/"
gofmt -w "$go"

# The component type is left to the deploy, which gives a module that of the world it exports.
for world in transform handler; do
    wit-bindgen c ../wit/transform guest.wit --world "millrace:sdk/$world" \
        --no-object-file --out-dir c >&2
    # What is last in the file would want the object.
    sed -i '/^\/\/ Ensure that the \*_component_type.o/,$d' "c/$world.c"
done
