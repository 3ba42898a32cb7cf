/* 700_options.c - the command line and the configuration: what is taken, what is refused and with which words. */
#include "engine/engine.h"
#include "tests/test.h"

#include <unistd.h>

#include "engine/file.h"
#include "experiments/common/names.h"
#include "experiments/common/options.h"

static char folder[] = "/tmp/guise-options-XXXXXX";

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("GUISE_PRESETS", folder, 1);
}

static char *write_file(const char *name, const char *text)
{
    char *path = must_printf("%s/%s", folder, name);
    MUST(file_write(path, text, strlen(text)));
    return path;
}

static void finish(void)
{
    char *command = must_printf("rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static const char *model_file, *out_file = "out";
static int count = 3;
static double share = 0.5;
static int flag;
static TextList attributes;
static const Option own[] = {
    {"weights", OPTION_TEXT, "FILE", "weights", &model_file}, {"out", OPTION_TEXT, "DIR", "results", &out_file},
    {"count", OPTION_INT, "N", "how many", &count},           {"share", OPTION_FLOAT, "X", "which part", &share},
    {"grad", OPTION_FLAG, NULL, "gradients too", &flag},      {"attr", OPTION_LIST, "K=V", "attributes", &attributes},
    {"first", OPTION_KEY, "X", "the first rate", "recognition.lr_first"},
    {0},
};
static const Program program = {"test", "tests", "NAME [MORE]", 1, 2, OPTIONS_ALL, own};

#define READ(o, ...) read_words(o, (char *[]){"test", __VA_ARGS__, NULL})

static int read_words(Options *o, char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return options_read(o, &program, argc, argv);
}

#define REFUSED(message, ...)                                            \
    do {                                                                 \
        Options o_;                                                      \
        ck_assert_int_eq(READ(&o_, __VA_ARGS__), -1);                    \
        ck_assert_str_eq(error_text(), message);                         \
    } while (0)

TEST(takes_every_kind)
{
    begin();
    free(write_file("quick.ini", "[synthesis]\nsteps = 12\n"));
    Options o;
    MUST(READ(&o, "first", "--weights", "w.pt", "--count=7", "--share", "0.25", "--grad", "--attr", "a=1", "--attr=b=2",
              "--device", "cuda:2", "--precision", "bf16", "--deterministic", "no", "--threads", "2", "--jobs", "3",
              "--json", "--quiet", "--seed", "11", "--data", "folder:/faces", "--run", "/nowhere/run", "--set",
              "synthesis.z=9", "--", "--second"));
    ck_assert_str_eq(model_file, "w.pt");
    ck_assert_str_eq(out_file, "out");
    ck_assert_int_eq(count, 7);
    ck_assert_double_eq(share, 0.25);
    ck_assert_int_eq(flag, 1);
    ck_assert_int_eq(attributes.n, 2);
    ck_assert_str_eq(attributes.text[1], "b=2");
    ck_assert_int_eq(o.device, DEVICE_CUDA);
    ck_assert_int_eq(o.device_index, 2);
    ck_assert_int_eq(o.precision, PRECISION_BF16);
    ck_assert_int_eq(o.deterministic, 0);
    ck_assert_int_eq(o.threads, 2);
    ck_assert_int_eq(o.jobs, 3);
    ck_assert(o.json && o.quiet);
    ck_assert_uint_eq(o.seed, 11);
    ck_assert_int_eq(config_int(o.config, "run.seed"), 11);
    ck_assert_int_eq(o.data, DATA_FOLDER);
    ck_assert_str_eq(o.data_path, "/faces");
    ck_assert_str_eq(o.run, "/nowhere/run");
    ck_assert_int_eq(o.n_names, 2);
    ck_assert_str_eq(o.names[1], "--second");
    ck_assert_str_eq(o.preset, "quick");
    ck_assert_int_eq(config_int(o.config, "synthesis.steps"), 12);
    ck_assert_int_eq(config_int(o.config, "synthesis.z"), 9);
    options_free(&o);
    free(attributes.text);
    finish();
}

TEST(refuses_with_the_reason)
{
    begin();
    free(write_file("quick.ini", ""));
    free(write_file("smoke.ini", ""));
    REFUSED("--presett: no such option: did you mean preset?", "x", "--presett", "smoke");
    REFUSED("--zzz: no such option", "x", "--zzz");
    REFUSED("--weights: FILE is missing", "x", "--weights");
    REFUSED("--grad takes no value", "x", "--grad=1");
    REFUSED("--count 1.5: a whole number was expected", "x", "--count", "1.5");
    REFUSED("--count 99999999999: a whole number was expected", "x", "--count", "99999999999");
    REFUSED("--share abc: a number was expected", "x", "--share", "abc");
    REFUSED("-x: no such option: they begin with two dashes (--help)", "x", "-x");
    REFUSED("NAME [MORE] is missing (--help)", "--grad");
    REFUSED("c: one name too many (NAME [MORE])", "a", "b", "c");
    REFUSED("--data faces: portraits, folder:PATH or manifest:PATH was expected", "x", "--data", "faces");
    REFUSED("--data folder:: a path is missing after the colon", "x", "--data", "folder:");
    REFUSED("--device cdua: no such choice: did you mean cuda?", "x", "--device", "cdua");
    REFUSED("--device tpus: no such choice: there are auto, cpu, cuda, reference", "x", "--device", "tpus");
    REFUSED("--device cuda:x: the number of a device was expected after cuda:", "x", "--device", "cuda:x");
    REFUSED("--precision fp16: no such choice: there are fp32, tf32, bf16", "x", "--precision", "fp16");
    REFUSED("--threads -1: 1 to 4096 was expected", "x", "--threads", "-1");
    REFUSED("--jobs -1: auto or 1 to 1024 was expected", "x", "--jobs", "-1");
    REFUSED("--jobs 1025: auto or 1 to 1024 was expected", "x", "--jobs", "1025");
    REFUSED("--jobs many: auto or 1 to 1024 was expected", "x", "--jobs", "many");
    REFUSED("--jobs 2x: auto or 1 to 1024 was expected", "x", "--jobs=2x");
    REFUSED("--seed -4: a whole number from 0 to 9e15 was expected", "x", "--seed", "-4");
    REFUSED("--set: synthesis.stpes: no such key: did you mean synthesis.steps?", "x", "--set", "synthesis.stpes=4");
    REFUSED("--set: synthesis.steps=many: a whole number was expected", "x", "--set", "synthesis.steps=many");
    REFUSED("--set synthesis.steps: section.key=value was expected", "x", "--set", "synthesis.steps");
    REFUSED("--set: recognition.dropout=2: it must lie between 0 and 0.99", "x", "--set", "recognition.dropout=2");
    REFUSED("--set: synthesis.upsample=cubic: one of nearest|bilinear was expected", "x", "--set",
            "synthesis.upsample=cubic");
    REFUSED("--set: synthesis.upsample=near: one of nearest|bilinear was expected", "x", "--set",
            "synthesis.upsample=near");
    REFUSED("--set: synthesis.multi_scale=maybe: yes or no was expected", "x", "--set", "synthesis.multi_scale=maybe");
    ck_assert_int_eq(READ(&(Options){0}, "x", "--preset", "smok"), -1);
    ck_assert_msg(strstr(error_text(), "(there are quick, smoke): did you mean smoke?") != NULL, "%s", error_text());
    ck_assert_int_eq(READ(&(Options){0}, "x", "--preset", "../smoke"), -1);
    finish();
}

TEST(help_shows_every_option)
{
    Options o;
    ck_assert_int_eq(READ(&o, "--help"), OPTIONS_PRINTED);
    options_free(&o);
    ck_assert_int_eq(READ(&o, "--version"), OPTIONS_PRINTED);
    options_free(&o);
    ck_assert_int_eq(READ(&o, "--keys"), OPTIONS_PRINTED);
    options_free(&o);
    Program few = {.name = "few", .does = "little", .common = OPTIONS_JSON};
    char *argv[] = {"few", "--run", "x", NULL};
    ck_assert_int_eq(options_read(&o, &few, 3, argv), -1);   /* a group that the program does not have */
}

TEST(files_are_checked_line_by_line)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[synthesis]\nsteps = 5\n; comment\nbach = 3\n",
         ":4: synthesis.bach: no such key: did you mean synthesis.batch?"},
        {"[synthesis]\nsteps = 5\nz = x\nnonsense\n", ":3: synthesis.z=x: a whole number was expected"},
        {"[synthesis]\nnonsense\nz = x\n", ":2: neither [section] nor key = value"},
        {"[data\nsize = 32\n", ":1: neither [section] nor key = value"},
        {"steps = 5\n", ":1: steps: no such key"},
        {"[synthesis]\nsteps = 5\n\nsteps = 6\n", ":4: synthesis.steps: given a second time"},
        {"[synthesis]\nsteps = 5", NULL},
        {"", NULL},
        {"\xEF\xBB\xBF[synthesis]\r\nsteps = 5\r\n", NULL},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = write_file("a.ini", cases[i].text), *message = must_printf("%s%s", path, cases[i].message);
        Config *c = config_create();
        int bad = config_read(c, path);
        ck_assert_int_eq(bad, cases[i].message ? -1 : 0);
        if (bad)
            ck_assert_str_eq(error_text(), message);
        /* a file that is refused changes nothing */
        ck_assert_int_eq(config_int(c, "synthesis.steps"), bad || !cases[i].text[0] ? 680100 : 5);
        config_free(c);
        free(path);
        free(message);
    }
    finish();
}

TEST(a_printed_configuration_reads_back)
{
    begin();
    Config *c = config_create(), *d = config_create();
    MUST(config_set(c, "synthesis.lr_d=4.0e-4"));
    MUST(config_set(c, "augmentation.blur=0.30000000000000004"));
    MUST(config_set(c, "identity.weights=/a b/c#d.safetensors"));
    MUST(config_set(c, "synthesis.multi_scale=off"));
    ck_assert_int_eq(config_set(c, "identity.weights=a ; b"), -1);
    ck_assert_int_eq(config_set(c, "identity.weights=a\nb = 3"), -1);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    config_print(c, out);
    fclose(out);
    char *path = write_file("c.ini", text);
    MUST(config_read(d, path));
    int differ;
    ck_assert_ptr_null(config_difference(c, d, &differ));
    ck_assert_double_eq(config_float(d, "augmentation.blur"), 0.30000000000000004);
    ck_assert_int_eq(config_bool(d, "synthesis.multi_scale"), 0);
    ck_assert_str_eq(config_text(d, "identity.weights"), "/a b/c#d.safetensors");
    free(path);
    free(text);
    config_free(c);
    config_free(d);
    finish();
}

TEST(hashes_cover_their_sections_only)
{
    static const char *const synthesis[] = {"synthesis", "data.size", NULL}, *const all[] = {"recognition", NULL};
    Config *a = config_create(), *b = config_create();
    ck_assert(hash_equal(config_hash_of(a, synthesis), config_hash_of(b, synthesis)));
    MUST(config_set(b, "synthesis.lr_d=0.00040"));              /* another spelling of the default */
    MUST(config_set(b, "synthesis.checkpoint_every=7"));        /* results do not depend on it */
    MUST(config_set(b, "recognition.batch=64"));                /* another section */
    MUST(config_set(b, "data.world=5"));                        /* the section's other keys */
    ck_assert(hash_equal(config_hash_of(a, synthesis), config_hash_of(b, synthesis)));
    ck_assert(!hash_equal(config_hash_of(a, all), config_hash_of(b, all)));
    MUST(config_set(b, "data.size=64"));
    ck_assert(!hash_equal(config_hash_of(a, synthesis), config_hash_of(b, synthesis)));
    /* FNV-1a's published values of "" and "foobar" */
    char text[33];
    hash_print(hash_text(""), text);
    ck_assert_str_eq(text, "6c62272e07bb014262b821756295c58d");
    hash_print(hash_text("foobar"), text);
    ck_assert_str_eq(text, "343e1662793c64bf6f0d3597ba446f18");
    config_free(a);
    config_free(b);
}

TEST(the_defaults_are_the_papers)
{
    Config *c = config_create();
    ck_assert_int_eq(config_int(c, "data.original_people"), 482);
    ck_assert_int_eq(config_int(c, "data.original_images"), 18143);
    ck_assert_int_eq(config_int(c, "synthesis.steps"), 300 * (18143 / config_int(c, "synthesis.batch")));
    ck_assert_double_eq(config_float(c, "synthesis.lr_d"), 4 * config_float(c, "synthesis.lr_ag"));
    ck_assert_double_eq(config_float(c, "recognition.lr_last"), 1e-7);
    for (int i = 0; i < config_key_count; i++)
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(config_keys[i].name, config_keys[k].name);
    config_free(c);
}

TEST(every_preset_can_be_read)
{
    static const char *const presets[] = {"smoke", "quick", "study", "standard", "paper"};
    unsetenv("GUISE_PRESETS");
    char *place = resource_path("experiments/presets/paper.ini");
    if (!file_exists(place)) {
        free(place);
        SKIP("experiments/presets is neither above the program nor here");
    }
    free(place);
    for (int i = 0; i < 5; i++) {
        Config *c = config_create(), *paper = config_create();
        int differ;
        MUST(config_read_preset(c, presets[i]));
        config_difference(c, paper, &differ);
        ck_assert_int_eq(differ == 0, i == 4);
        /* what the stages take for granted */
        ck_assert_int_ge(config_int(c, "data.original_images"), 8 * config_int(c, "data.original_people"));
        ck_assert_int_le(config_int(c, "data.original_fewest") * config_int(c, "data.original_people"),
                         config_int(c, "data.original_images"));
        ck_assert_int_ge(config_int(c, "data.original_most") * config_int(c, "data.original_people"),
                         config_int(c, "data.original_images"));
        ck_assert_double_le(config_float(c, "recognition.lr_last"), config_float(c, "recognition.lr_first"));
        config_free(c);
        config_free(paper);
    }
}

TEST(a_run_folder_keeps_its_configuration)
{
    begin();
    free(write_file("quick.ini", "[synthesis]\nz = 3\n"));
    free(write_file("config.ini", "[synthesis]\nz = 4\n"));
    Options o;
    MUST(READ(&o, "x", "--run", folder));
    ck_assert_int_eq(config_int(o.config, "synthesis.z"), 4);
    options_free(&o);
    MUST(READ(&o, "x", "--run", folder, "--preset", "quick"));
    ck_assert_int_eq(config_int(o.config, "synthesis.z"), 3);
    options_free(&o);
    finish();
}

TEST(near_names)
{
    ck_assert_int_eq(name_distance("", "abc"), 3);
    ck_assert_int_eq(name_distance("kitten", "sitting"), 3);
    ck_assert_int_eq(name_distance("steps", "stpes"), 1);
    ck_assert_int_eq(name_distance("same", "same"), 0);
    NearName near = {.word = "qqqqqq"};
    name_consider(&near, "preset");
    ck_assert_str_eq(name_suggestion(&near), "");
}

TEST(options_that_are_keys)
{
    Options o;
    begin();
    char *ini = write_file("empty.ini", "");
    ck_assert_int_eq(READ(&o, "n", "--config", ini, "--first", "0.5", "--set", "recognition.lr_first=0.25"),
                     OPTIONS_GO);
    ck_assert_double_eq(config_float(o.config, "recognition.lr_first"), 0.5);
    options_free(&o);
    REFUSED("--first: X is missing", "n", "--first");
    ck_assert_int_eq(READ(&o, "n", "--config", ini, "--first=much"), -1);
    ck_assert_msg(strstr(error_text(), "first") != NULL, "%s", error_text());
    free(ini);
    finish();
}

TEST_MAIN("options", takes_every_kind, refuses_with_the_reason, help_shows_every_option, files_are_checked_line_by_line,
          a_printed_configuration_reads_back, hashes_cover_their_sections_only, the_defaults_are_the_papers,
          every_preset_can_be_read, a_run_folder_keeps_its_configuration, near_names, options_that_are_keys)
