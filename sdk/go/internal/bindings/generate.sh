#!/usr/bin/env bash
# Writes the bindings anew from wit/transform/world.wit. Needs wit-bindgen:
#   cargo install wit-bindgen-cli --version 0.63.0 --locked --no-default-features --features go,c
set -euo pipefail
cd "$(dirname "$0")"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
module=millrace.local/millrace/internal
rm -rf imports transform handler
for world in transform handler; do
    wit-bindgen go ../../../../wit/transform guest.wit --quiet \
        --world "millrace:sdk/$world" --pkg-name "$module/bindings" --out-dir "$made"
    # What the generated code calls lies in this module: a project needs no module proxy. The package
    # that the export calls is written by hand.
    find "$made" -name '*.go' -exec sed -i \
        -e "s#go.bytecodealliance.org/pkg/wit/#$module/wit/#" \
        -e "s#$module/bindings/exports/export_wit_world#$module/export_$world#" \
        -e "s#export_wit_world\.#export_$world.#" \
        -e "s#^package wit_exports#package $world#" {} +
    mkdir "$world"
    mv "$made/exports/wit_exports/wit_exports.go" "$world/"
    # No export mentions the world's own names of its types.
    rm -rf "$made/imports/wit_world"
done
mv "$made/imports" .
gofmt -w imports transform handler
