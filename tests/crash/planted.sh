#!/usr/bin/env bash
# Plants each known bug in a server of its own and shows that the tests catch it: a judge that never
# finds anything proves nothing. Prints "caught x of y"; fails when one goes through.
#
# ack-before-fsync as it is planted holds a group in memory, which kill -9 shows. Its quieter form, written
# and not synced, outlives a kill in the page cache: that one the crash model of the journal sees, on its
# fake disk that keeps live and durable images apart. The bug is shown to both.
set -u
cd "$(dirname "$0")/../.." || exit 2
cycles=${CYCLES:-12}

# In the same target folder, so that only our own crates are built again; the good server comes back
# as what `cargo build` leaves there, whatever happens.
planted_bin=target/planted-millrace
cargo build --release -p millrace-server --features planted && cp target/release/millrace "$planted_bin"
built=$?
cargo build --release -p millrace-server && cargo build --release -p millrace-tests --bin oracle || exit 2
[ "$built" -eq 0 ] || exit 2
export MILLRACE_TEST_BINARY=$PWD/$planted_bin

caught=0
planted=0
judge() { # NAME COMMAND…: the command must succeed, which means that the bug was seen
  planted=$((planted + 1))
  if "${@:2}"; then
    caught=$((caught + 1))
    echo "$1: caught"
  else
    echo "$1: NOT caught"
  fi
}

log_tests() {
  cargo test --release -p millrace-log --features planted journal::tests::model >/dev/null 2>&1
}
log_model_fails() { # and passes without the bug: else the failure proves nothing
  log_tests && ! MILLRACE_PLANT=ack-before-fsync log_tests
}
judge "ack-before-fsync (model)" log_model_fails

run_oracle() { # BUG EXPECTATION…
  target/release/oracle --store local --function "${FUNCTION:-identity}" --cycles "$cycles" --seed 11 \
    --server-env "MILLRACE_PLANT=$1" "${@:2}" 2>/dev/null
}
run_oracle none || { echo "the same binary without a bug does not pass: nothing would be proved"; exit 1; }
for bug in ack-before-fsync commit-before-put no-intent outbox-ignored; do
  judge "$bug" run_oracle "$bug" --expect-violation
done

echo "planted bugs caught: $caught of $planted"
[ "$caught" -eq "$planted" ]
