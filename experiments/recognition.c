/* recognition.c - trains recognisers on one set, all its initialisations, and prints their error rates. */
#include "experiments/common/recognition.h"

#include <stdlib.h>
#include <string.h>

#include "experiments/common/synthesis.h"
#include "experiments/common/table.h"

static const char *set_name = "original";
static int images;

int main(int argc, char **argv)
{
    static const Option own[] = {
        {"train", OPTION_TEXT, "SET", "original, reconstructed or new_faces (original)", &set_name},
        {"images", OPTION_INT, "N", "size of the subset, one image of each person in turn (all)", &images},
        TRUNK_OPTION,
        {0},
    };
    static const Program program = {.name = "recognition", .does = "trains recognisers on one set of faces: Adam, to a "
                                    "tenth of the rate and back to the best epoch when Validation's EER stays",
                                    .common = OPTIONS_ALL, .own = own};
    Context x;
    World w = {0};
    Identity id = {0};
    Synthesis s = {0};
    Datasets d = {0};
    if (context_open(&x, &program, argc, argv))
        return context_failed(&x);
    int which = !strcmp(set_name, "original") ? 0 : !strcmp(set_name, "reconstructed") ? 1
              : !strcmp(set_name, "new_faces") ? 2 : -1;
    if (which < 0)
        usage_error(&program, "--train %s: the sets are original, reconstructed and new_faces", set_name);
    Trainer *t = world_open(&x, &w) ? NULL : trainer_create(&x, &w);
    if (!t)
        return context_failed(&x);
    if (which && (identity_open(&x, &w, &id) || synthesis_open(&x, &w, &id, &s) || datasets_open(&x, &w, &id, &s, &d)))
        return context_failed(&x);
    const TrainingSet sets[] = {{"Original", &w.original, w.hash}, {"Reconstructed", &d.reconstructed, d.hash},
                                {"New Faces", &d.new_faces, d.hash}};
    if (images < 0 || images > sets[which].faces->n)
        usage_error(&program, "--images %d: the set has %d", images, sets[which].faces->n);
    int n = (int)config_int(x.config, "recognition.initialisations");
    RecogniserTraining *list = must_zalloc(sizeof *list * (size_t)n);
    for (int k = 0; k < n; k++)
        list[k] = (RecogniserTraining){&sets[which], images, k};
    if (recognition_all(t, list, n))
        return context_failed(&x);
    char title[160];
    snprintf(title, sizeof title, "EER in per cent after training on %s, %d images of %d people", sets[which].name,
             images ? images : sets[which].faces->n, sets[which].faces->people);
    Table *table = table_create(title);
    table_column(table, "initialisation");
    table_column(table, "Validation");
    table_column(table, "Test");
    table_column(table, "epochs");
    for (int k = 0; k < n; k++) {
        Recognised r;
        if (recognition_open(t, &list[k], &r))
            return context_failed(&x);
        table_row(table);
        table_number(table, k + 1, 0);
        table_number(table, 100 * r.validation_eer, 2);
        table_number(table, 100 * r.test_eer, 2);
        if (r.epochs)
            table_number(table, r.epochs, 0);
        recognised_free(&r);
    }
    table_note(table, trainer_trunk(t)->about);
    if (x.options.json)
        table_print_json(table, stdout);
    else
        table_print(table, stdout);
    table_free(table);
    free(list);
    trainer_free(t);
    datasets_free(&d);
    synthesis_free(&s);
    identity_free(&id);
    world_free(&w);
    context_close(&x);
    return 0;
}
