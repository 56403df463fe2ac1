/* What libFuzzer does, in little, for a compiler that has none (gcc -fsanitize-coverage=trace-pc): inputs that reach new
 * edges are kept and changed further. Takes the same arguments: -runs=N -seed=N -max_len=N -artifact_prefix=P DIR...
 * New inputs are written to the first DIR; the others are only read. */
#include "mutate.h"

void __sanitizer_cov_trace_pc(void);

#define MAP 65536u

static uint8_t seen[MAP];
static uintptr_t before;
static size_t n_edges;

void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t edge = (here ^ here >> 16 ^ before) % MAP;
    before = here >> 1;
    if (!seen[edge]) seen[edge] = 1, n_edges++;
}

/* Runs the current input; whether it reached an edge that none reached before. */
static int run(void) {
    size_t known = n_edges;
    before = 0;
    run_now();
    return n_edges > known;
}

int main(int argc, char **argv) {
    const char *found, *new_dir = NULL;
    uint64_t runs = 10000;
    size_t n_new = 0;
    save_at_death();
    for (int i = 1; i < argc; i++) {
        if ((found = value(argv[i], "-runs="))) runs = strtoull(found, NULL, 10);
        else if (!option(argv[i]) && !new_dir) new_dir = argv[i];
    }
    if (!new_dir) return 2;
    n_now = 0;
    run();
    keep();
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-') read_dir(argv[i]);
    for (uint64_t i = 0; i < runs; i++) {
        change_one(chance(2) ? 2 : 8);
        if (!run() || !keep()) continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%06zu", new_dir, n_new++);
        write_file(path, now, n_now);
    }
    fprintf(stderr, "Done %llu runs: %zu edges, %zu inputs of %zu are new\n", (unsigned long long)runs, n_edges, n_new, n_corpus);
    return 0;
}
