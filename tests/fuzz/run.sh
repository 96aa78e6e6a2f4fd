#!/usr/bin/env bash
# Runs the fuzz targets in turn: `run.sh SECONDS [TARGET…]`, all of them where none is named. A line for
# each; exits with 1 where one has found something. What they say is in target/*.log.
set -euo pipefail
cd "$(dirname "$0")"

seconds=$1
shift
command -v cargo-fuzz >/dev/null || cargo install --locked --version =0.13.2 cargo-fuzz
# cargo-fuzz passes flags that only a nightly compiler takes unasked.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --fuzz-dir .
[ $# -gt 0 ] || mapfile -t found < <(cargo fuzz list --fuzz-dir .)
[ $# -gt 0 ] || set -- "${found[@]}"

status=0
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target" "seeds/$target"
    log=target/$target.log
    # A unit may take 10 s and 2 GiB: more is a finding too.
    if cargo fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
        printf '%-14s %10s runs, %6s edges, nothing found\n' "$target" "$runs" "$coverage"
    else
        status=1
        printf '%-14s FOUND SOMETHING: see %s\n' "$target" "tests/fuzz/$log"
        grep -E -m 3 '^(SUMMARY|thread .* panicked|==[0-9]+== ?ERROR)' "$log" || tail -3 "$log"
    fi
done
exit $status
