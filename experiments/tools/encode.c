/* encode.c - vectors of face pictures by a trained network.
 *
 *     encode --model identity --run runs/quick --data folder:faces --out emb.safetensors
 *     encode --model recogniser --weights W --data folder:faces --out emb.safetensors
 *
 * folder:PATH holds a folder for each person, with pictures in it; manifest:PATH is a list of pictures
 * (docs/datasets.md).  They are cropped to their middle square and resized to the network's side.  The file holds
 * embeddings F32 (n,D) of length 1, person I32 (n), and as metadata the JSON lists names (of the people) and sources
 * (of the pictures), the network and its preprocessing.  Compare rows by cosine. */
#include <stdlib.h>
#include <string.h>

#include "engine/json.h"
#include "engine/safetensors.h"
#include "experiments/common/context.h"
#include "experiments/common/names.h"
#include "experiments/common/pictures.h"
#include "experiments/common/trained.h"

enum { BATCH = 32 };

static const char *model, *weights, *run_folder, *out_path;
static const Option own[] = {
    {"model", OPTION_TEXT, "NAME", "identity or recogniser", &model},
    {"weights", OPTION_TEXT, "FILE", "safetensors file of the network", &weights},
    {"run", OPTION_TEXT, "DIR", "instead: the newest such network of this run folder", &run_folder},
    {"out", OPTION_TEXT, "FILE", "safetensors file to write", &out_path},
    {0},
};
static const Program program = {
    .name = "encode",
    .does = "turns pictures of faces into vectors",
    .common = OPTIONS_CONFIG | OPTIONS_DATA | OPTIONS_DEVICE | OPTIONS_QUIET,
    .own = own,
};

static void check_use(const Options *o)
{
    static const char *const models[] = {"identity", "recogniser"};
    if (!model)
        usage_error(&program, "--model NAME is missing (--help)");
    if (strcmp(model, models[0]) && strcmp(model, models[1])) {
        NearName near = {.word = model};
        for (int i = 0; i < 2; i++)
            name_consider(&near, models[i]);
        usage_error(&program, "--model %s: no such network here%s (identity or recogniser; FaceNet, other published "
                    "networks and ONNX files are not read by this version)", model, name_suggestion(&near));
    }
    if (!weights == !run_folder)
        usage_error(&program, "either --weights FILE or --run DIR must say which network (--help)");
    if (!out_path)
        usage_error(&program, "--out FILE is missing (--help)");
    if (o->data == DATA_PORTRAITS)
        usage_error(&program, "--data %s: folder:PATH or manifest:PATH was expected", o->data_spec);
}

static int read_faces(Context *x, Faces *out)
{
    Manifest list;
    if (pictures_list(&x->options, &list))
        return -1;
    int bad = pictures_read(x, "reading pictures", &list, (int)config_int(x->config, "data.size"), out);
    manifest_free(&list);
    return bad ? fail_in("%s", x->options.data_path) : 0;
}

static char *json_list(char *const *texts, int n)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        die("no memory for a list of names");
    for (int i = 0; i < n; i++) {
        fputs(i ? ", " : "[", out);
        json_write_string(out, texts[i]);
    }
    fputs(n ? "]" : "[]", out);
    fclose(out);
    return text;
}

static int write_vectors(const Faces *f, const float *vectors, int dim)
{
    SafeTensor tensors[] = {
        {.name = "embeddings", .dtype = SAFE_F32, .rank = 2, .shape = {f->n, dim}, .data = vectors},
        {.name = "person", .dtype = SAFE_I32, .rank = 1, .shape = {f->n}, .data = f->person},
    };
    char *names = json_list(f->names, f->people), *sources = json_list(f->sources, f->n);
    const char *metadata[] = {"guise", engine_version(), "model", model, "weights", weights, "preprocessing",
                              "middle square, RGB, bytes / 127.5 - 1", "metric", "cosine", "names", names, "sources",
                              sources, NULL};
    int bad = safetensors_write(out_path, tensors, 2, metadata);
    free(names);
    free(sources);
    return bad;
}

static int encode(Context *x)
{
    bool identity = !strcmp(model, "identity");
    RecogniserOpts o = identity ? context_identity(x) : context_recogniser(x);
    Faces faces = {0};
    float *vectors = NULL;
    Store *store = store_create(x->device, 1);
    RecogniserEmbed *embed = store ? recogniser_embed_create(store, o, BATCH) : NULL;
    int bad = !embed || trained_load(store, weights, "") || read_faces(x, &faces);
    if (!bad) {
        vectors = must_alloc(sizeof *vectors * (size_t)faces.n * (size_t)o.embedding);
        bad = recogniser_embed(embed, faces.pixels, faces.n, vectors) || write_vectors(&faces, vectors, o.embedding);
    }
    if (!bad && !x->quiet)
        printf("%d vectors of %d numbers, %d people: %s\n", faces.n, o.embedding, faces.people, out_path);
    free(vectors);
    faces_free(&faces);
    recogniser_embed_free(embed);
    store_free(store);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    Context x;
    if (context_start(&x, &program, argc, argv))
        return context_failed(&x);
    check_use(&x.options);
    char *found = NULL;
    if (run_folder)
        weights = found = strcmp(model, "identity") ? trained_find(run_folder, "recognition", "recogniser.safetensors")
                                                    : trained_find(run_folder, "identity", "identity.safetensors");
    int bad = !weights || trained_settings(weights, x.options.config) || encode(&x);
    bad = bad ? context_failed(&x) : 0;
    free(found);
    context_close(&x);
    if (fflush(stdout) || ferror(stdout))
        die("standard output: not written");
    return bad;
}
