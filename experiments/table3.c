/* table3.c - Table 3 of the paper: how well recognisers learn from real and from synthetic faces.
 *
 * Rows: Original, Reconstructed, New Faces; columns: the whole set, half, a quarter, an eighth (inventory items 41, 60);
 * cells: mean and standard deviation over the initialisations, beside the paper's numbers.  Below: what pixels and an
 * untrained network reach on the same pairs, and by how much Original beats the better of them, with an interval over
 * people. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/common/paper.h"
#include "experiments/common/recognition.h"
#include "experiments/common/synthesis.h"
#include "experiments/common/table.h"

enum { SETS = 3, SIZES = 4, INITS_MAX = 100 };

typedef struct Cell {
    int n;                                  /* initialisations */
    double validation[INITS_MAX], test[INITS_MAX];
} Cell;

typedef struct Table3 {
    Cell cell[SETS][SIZES];
    double *original_test[INITS_MAX];       /* distances on Test of the networks trained on all of Original */
    double *pixels[2], *untrained[2];       /* distances on Validation, Test */
    double baseline[2][2];                  /* EER: pixels, untrained; Validation, Test */
    int inits;
} Table3;

static int train_all(Context *x, Trainer *t, const TrainingSet *sets, Table3 *out)
{
    out->inits = (int)config_int(x->config, "recognition.initialisations");
    out->inits = out->inits < INITS_MAX ? out->inits : INITS_MAX;
    RecogniserTraining list[SETS * SIZES * INITS_MAX];
    int n = 0;
    for (int set = 0; set < SETS; set++)
        for (int size = 0; size < SIZES; size++)
            for (int k = 0; k < out->inits; k++)
                list[n++] = (RecogniserTraining){&sets[set], subset_size(sets[set].faces->n, size), k};
    if (recognition_all(t, list, n))
        return -1;
    for (int i = 0; i < n; i++) {
        int cell = i / out->inits, k = i % out->inits;
        Recognised r;
        if (recognition_open(t, &list[i], &r))
            return -1;
        Cell *c = &out->cell[cell / SIZES][cell % SIZES];
        c->validation[c->n] = r.validation_eer;
        c->test[c->n++] = r.test_eer;
        if (cell == 0) {
            out->original_test[k] = r.test;
            r.test = NULL;
        }
        recognised_free(&r);
    }
    return 0;
}

static int baselines(Trainer *t, const World *w, Table3 *out)
{
    const Pairs *pairs[] = {&w->validation_pairs, &w->test_pairs};
    for (int i = 0; i < 2; i++) {
        out->pixels[i] = must_alloc(sizeof(double) * (size_t)(pairs[i]->n + 1));
        out->untrained[i] = must_alloc(sizeof(double) * (size_t)(pairs[i]->n + 1));
    }
    if (baseline_pixels(w, out->pixels[0], out->pixels[1]) ||
        baseline_untrained(t, out->untrained[0], out->untrained[1]))
        return -1;
    for (int i = 0; i < 2; i++) {
        PairTrials trials = pair_trials(pairs[i], i ? &w->test : &w->validation);
        Accuracy a, b;
        int bad = accuracy_of(&trials.trials, SCORE_DISTANCE, out->pixels[i], &a) ||
                  accuracy_of(&trials.trials, SCORE_DISTANCE, out->untrained[i], &b);
        pair_trials_free(&trials);
        if (bad)
            return -1;
        out->baseline[0][i] = a.eer;
        out->baseline[1][i] = b.eer;
    }
    return 0;
}

static void add_cell(Table *table, const double *eer, int n, const PaperNumber *paper)
{
    double percent[INITS_MAX];
    for (int i = 0; i < n; i++)
        percent[i] = 100 * eer[i];
    Spread s = spread_of(percent, n);
    table_number(table, s.mean, 2);
    table_std(table, s.std);
    if (paper)
        table_paper(table, paper->mean, paper->std);
}

static Table *make_table(const World *w, const Trunk *trunk, const TrainingSet *sets, const Table3 *t,
                         const Paper *paper, int test)
{
    static const int paper_images[SIZES] = {18143, 9072, 4536, 2268};
    const char *pairs = test ? "Test" : "Validation";
    char text[200];
    snprintf(text, sizeof text, "Table 3, %s: EER in per cent, %d people, %d pairs; mean (standard deviation) of %d "
             "initialisations", pairs, test ? w->test.people : w->validation.people,
             test ? w->test_pairs.n : w->validation_pairs.n, t->inits);
    Table *table = table_create(text);
    table_column(table, "trained on");
    for (int size = 0; size < SIZES; size++) {
        snprintf(text, sizeof text, "%d images", subset_size(w->original.n, size));
        table_column(table, text);
    }
    for (int set = 0; set < SETS; set++) {
        table_row(table);
        table_text(table, sets[set].name);
        for (int size = 0; size < SIZES; size++) {
            const Cell *c = &t->cell[set][size];
            snprintf(text, sizeof text, "%s/%d", pairs, paper_images[size]);
            add_cell(table, test ? c->test : c->validation, c->n, paper_find(paper, 3, sets[set].name, text));
        }
    }
    const char *names[] = {"pixels", trunk->weights ? "trunk alone" : "untrained network"};
    for (int b = 0; b < 2; b++) {
        table_row(table);
        table_text(table, names[b]);
        table_number(table, 100 * t->baseline[b][test], 2);
    }
    return table;
}

/* Original against the better baseline on Test: difference of EERs, interval over people. */
static int advantage(Context *x, const World *w, const Trunk *trunk, const Table3 *t, Table *table)
{
    int b = t->baseline[1][1] < t->baseline[0][1];
    const double *theirs = b ? t->untrained[1] : t->pixels[1];
    PairTrials trials = pair_trials(&w->test_pairs, &w->test);
    Bootstrap how = {.replicates = (int)config_int(x->config, "evaluation.bootstrap"),
                     .level = config_float(x->config, "evaluation.level"),
                     .seed = (uint64_t)config_int(x->config, "evaluation.seed")};
    Interval d;
    char text[300];
    int bad = eer_interval(&trials.trials, SCORE_DISTANCE, (const double *const *)t->original_test, t->inits, &theirs, 1,
                           how, &d);
    pair_trials_free(&trials);
    if (bad)
        return -1;
    snprintf(text, sizeof text, "Trained on Original, the EER on Test is %.2f points %s than that of %s "
             "(%.0f %% interval of the advantage over people: %.2f to %.2f)", fabs(100 * d.value),
             d.value <= 0 ? "lower" : "higher",
             !b ? "pixels" : trunk->weights ? "the trunk alone" : "the untrained network", 100 * d.level,
             -100 * d.high, -100 * d.low);
    table_note(table, text);
    table_note(table, "The paper's numbers are of other data, larger networks and longer training: compare the order of "
                      "the rows, not the numbers.");
    table_note(table, trunk->about);
    return 0;
}

static int report(Context *x, const World *w, const Trunk *trunk, const TrainingSet *sets, const Table3 *t)
{
    Paper *paper = paper_read(NULL);
    if (!paper)
        return -1;
    int bad = 0;
    for (int test = 0; test < 2 && !bad; test++) {
        Table *table = make_table(w, trunk, sets, t, paper, test);
        char *path = must_printf("%s/table3_%s", x->run->dir, test ? "test" : "validation");
        bad = test ? advantage(x, w, trunk, t, table) : 0;
        if (!bad && x->options.json)
            table_print_json(table, stdout);
        else if (!bad)
            table_print(table, stdout);
        if (!bad && !x->options.json)
            printf("\n");
        bad = bad || table_save(table, path);
        table_free(table);
        free(path);
    }
    paper_free(paper);
    return bad;
}

int main(int argc, char **argv)
{
    static const Option own[] = {
        TRUNK_OPTION,
        {0},
    };
    static const Program program = {.name = "table3", .does = "trains on real and synthetic faces and prints Table 3",
                                    .common = OPTIONS_ALL, .own = own};
    static Table3 t;
    Context x;
    World w = {0};
    Identity id = {0};
    Synthesis s = {0};
    Datasets d = {0};
    Trainer *trainer = NULL;
    if (context_open(&x, &program, argc, argv) || world_open(&x, &w) || !(trainer = trainer_create(&x, &w)) ||
        identity_open(&x, &w, &id) || synthesis_open(&x, &w, &id, &s) || datasets_open(&x, &w, &id, &s, &d))
        return context_failed(&x);
    const TrainingSet sets[SETS] = {{"Original", &w.original, w.hash}, {"Reconstructed", &d.reconstructed, d.hash},
                                    {"New Faces", &d.new_faces, d.hash}};
    if (train_all(&x, trainer, sets, &t) || baselines(trainer, &w, &t) ||
        report(&x, &w, trainer_trunk(trainer), sets, &t))
        return context_failed(&x);
    if (!x.options.json)
        printf("faces, real and made: %s\nsamples of the training: %s\ntables as CSV and JSON: %s/table3_*\n", d.picture,
               s.samples, x.run->dir);
    trainer_free(trainer);
    for (int k = 0; k < t.inits; k++)
        free(t.original_test[k]);
    for (int i = 0; i < 2; i++) {
        free(t.pixels[i]);
        free(t.untrained[i]);
    }
    datasets_free(&d);
    synthesis_free(&s);
    identity_free(&id);
    world_free(&w);
    context_close(&x);
    return 0;
}
