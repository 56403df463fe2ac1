/* Runs a target on so many inputs and no more, and guided by nothing: a third are data as training has it or as it never
 * should be, a third what encoders write, half of it with something changed, the rest changed from what was there before.
 * Takes -cases=N -seed=N -max_len=N -artifact_prefix=P DIR... and reads all inputs in the DIRs first. */
#include "honest.h"

#define MOST_KEPT 2000u /* of those that were made here; one of so many is kept, to be changed */
#define KEPT_OF 16u

size_t ck_target_head(void);
size_t ck_n_refused(void);

static const char *variants(void) {
    static char names[256];
    const ck_kernels *k;
    for (size_t i = 0; (k = ck_variant(i)) != NULL; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", i ? " " : "", k->name);
    }
    return names;
}

/* A head of anything, then elements of any width; where two halves are read, they may be near each other. */
static void generated(size_t n_head) {
    size_t n = some(max_len - n_head), half;
    n_now = n_head + n;
    bytes(now, n_head, chance(3) ? ANYTHING : chance(KINDS - 1));
    unsigned width = 1u << (n_head && chance(2) ? now[0] & 3 : chance(4));
    fill(now + n_head, n, width);
    half = n / 2 / width * width;
    if (chance(2)) fill_near(now + n_head + half, now + n_head, half, width);
}

static void next_input(const char *target, const ck_kernels *scalar) {
    uint64_t kind = chance(3);
    if (kind == 0) {
        change_one(chance(2) ? 2 : 8);
        return;
    }
    if (kind == 2 || !honest(target, scalar)) generated(ck_target_head());
    else if (chance(2)) mutate();
    if (n_corpus < MOST_KEPT && !chance(KEPT_OF)) keep();
}

int main(int argc, char **argv) {
    const char *found, *target = getenv("CK_TARGET");
    uint64_t cases = 10000, i = 0;
    save_at_death();
    for (int a = 1; a < argc; a++)
        if (!option(argv[a]) && (found = value(argv[a], "-cases="))) cases = strtoull(found, NULL, 10);
    if (ck_target_head() > max_len) return 2;
    n_now = 0;
    keep();
    for (int a = 1; a < argc; a++)
        if (argv[a][0] != '-') read_dir(argv[a]);
    size_t last = 0;
    while (ck_variant(last + 1)) last++;
    for (; i < cases; i++) {
        next_input(target, ck_variant(last));
        run_now();
    }
    fprintf(stderr, "%llu cases, %zu refused: %s\n", (unsigned long long)i, ck_n_refused(), variants());
    return 0;
}
