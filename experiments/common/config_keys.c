/* config_keys.c - every key of the configuration.  Numbers in square brackets are those of the checklist that
 * docs/paper-map.md follows; [R] marks a reading where the paper leaves room. */
#include "experiments/common/config.h"

#define INT(name, fallback, low, high, doc)   {name, KEY_INT, fallback, doc, low, high, 0, 0}
#define FLOAT(name, fallback, low, high, doc) {name, KEY_FLOAT, fallback, doc, low, high, 0, 0}
#define BOOL(name, fallback, doc)             {name, KEY_BOOL, fallback, doc, 0, 0, 0, 0}
#define CHOICE(name, fallback, choices, doc)  {name, KEY_CHOICE, fallback, doc, 0, 0, choices, 0}
#define TEXT(name, fallback, doc)             {name, KEY_TEXT, fallback, doc, 0, 0, 0, 0}
#define EVERY(name, fallback, doc)            {name, KEY_INT, fallback, doc, 0, 1e9, 0, 1}

const ConfigKey config_keys[] = {
    INT("run.seed", "1", 0, 9e15, "seed of everything drawn at random"),
    INT("run.set_mib", "8192", 0, 1e9, "MiB of a GPU's memory for the pictures of a training, which are then uploaded "
        "once; larger sets go with each step"),

    /* the data sets and their counts */
    INT("data.size", "128", 16, 256, "side of every image, a power of two"),
    INT("data.world", "1", 0, 9e15, "seed of the portraits' people"),
    INT("data.pretrain_people", "2000", 2, 1e6, "portraits: people on whom recognition systems are pretrained [R]"),
    INT("data.pretrain_images", "40000", 4, 1e8, "portraits: their images [R]"),
    INT("data.original_people", "482", 2, 1e6, "identities of Original"),
    INT("data.original_images", "18143", 4, 1e8, "images of Original"),
    INT("data.original_fewest", "4", 2, 1e4, "portraits: fewest images of one identity of Original"),
    INT("data.original_most", "130", 2, 1e4, "portraits: most images of one identity of Original"),
    INT("data.validation_people", "230", 2, 1e6, "identities of Validation"),
    INT("data.validation_images", "1281", 4, 1e8, "images of Validation"),
    INT("data.test_people", "230", 2, 1e6, "identities of Test"),
    INT("data.test_images", "1230", 4, 1e8, "images of Test"),
    FLOAT("data.split_pretrain", "0.3", 0, 1, "folder, manifest: share of the people for pretraining"),
    FLOAT("data.split_original", "0.35", 0, 1, "folder, manifest: share of the people for Original"),
    FLOAT("data.split_validation", "0.15", 0, 1, "folder, manifest: share of the people for Validation"),
    FLOAT("data.split_test", "0.2", 0, 1, "folder, manifest: share of the people for Test"),

    /* the identity network */
    TEXT("identity.weights", "", "safetensors file of a trained identity network of these sizes; empty: one is trained"),
    INT("identity.width", "64", 1, 1024, "channels of the first layer of a pretrained network [R]"),
    CHOICE("identity.depth", "50", "8|11|14|26|50|101", "layers of a pretrained network, in bottleneck blocks [R]"),
    INT("identity.embedding", "512", 8, 4096, "size of the identity vector"),
    CHOICE("identity.head", "pool", "flatten|pool", "the last map goes into its head whole or averaged [R]"),
    INT("identity.epochs", "30", 1, 1e5, "passes over the pretraining images [R]"),
    INT("identity.batch", "128", 2, 65536, "images in a step [R]"),
    FLOAT("identity.lr", "0.001", 0, 10, "Adam's learning rate at the start; it falls to 0 along a cosine [R]"),
    FLOAT("identity.s", "64", 0.1, 1e4, "ArcFace's scale [R]"),
    FLOAT("identity.m", "0.5", 0, 1.6, "ArcFace's margin, radians [R]"),

    /* the synthesis network */
    INT("synthesis.width", "128", 1, 1024, "channels of A's and D's first layer; the 4x4 map has 8 times as many"),
    INT("synthesis.z", "128", 1, 65536, "size of the attribute vector"),
    INT("synthesis.steps", "680100", 0, 1e9, "pairs of step 1 and step 2: 300 epochs of 18,143 / 8"),
    INT("synthesis.batch", "8", 2, 65536, "images in a step"),
    FLOAT("synthesis.lr_ag", "0.0001", 0, 10, "Adam's learning rate of A and G"),
    FLOAT("synthesis.lr_d", "0.0004", 0, 10, "Adam's learning rate of D"),
    FLOAT("synthesis.lambda_kl", "0.0001", 0, 1e9, "weight of L_KL"),
    FLOAT("synthesis.lambda_gd", "0.0005", 0, 1e9, "weight of L_GD"),
    FLOAT("synthesis.lambda_gi", "1", 0, 1e9, "weight of L_GI"),
    FLOAT("synthesis.lambda_a", "0.1", 0, 1e9, "weight of L_GR in step 2"),
    FLOAT("synthesis.beta1", "0.5", 0, 0.999999, "Adam's beta 1 [R]"),
    FLOAT("synthesis.beta2", "0.999", 0, 0.9999999, "Adam's beta 2 [R]"),
    BOOL("synthesis.multi_scale", "yes", "L_GR at every scale, or at the largest alone"),
    CHOICE("synthesis.reconstruction", "mean", "mean|sum", "L_GR's square over the pixels [R]"),
    CHOICE("synthesis.identity_loss", "sum", "mean|sum", "L_GI's square over the vector [R]"),
    BOOL("synthesis.d_first", "no", "D moves before A and G in step 1, instead of all from one forward pass [R]"),
    BOOL("synthesis.d_joint", "no", "real and made pictures share D's batch statistics, instead of one group each [R]"),
    CHOICE("synthesis.feature", "features", "features|logit|sigmoid", "what of D L_GD compares [R]"),
    CHOICE("synthesis.upsample", "nearest", "nearest|bilinear", "G's upsampling [R]"),
    CHOICE("synthesis.render", "sampled", "sampled|mean", "attribute vectors when sets are rendered [R]"),
    EVERY("synthesis.checkpoint_every", "2000", "pairs of steps between checkpoints"),
    EVERY("synthesis.sample_every", "2000", "pairs of steps between sheets of samples; 0: none"),

    /* training recognition */
    CHOICE("recognition.depth", "50", "8|11|14|26|50|101", "layers of the ResNet, in bottleneck blocks"),
    INT("recognition.width", "64", 1, 1024, "channels of its first layer"),
    INT("recognition.embedding", "512", 8, 4096, "size of its vector"),
    CHOICE("recognition.head", "flatten", "flatten|pool", "the last map goes into the head whole or averaged [R]"),
    INT("recognition.batch", "128", 2, 65536, "images in a step; no more than the set has"),
    FLOAT("recognition.dropout", "0.5", 0, 0.99, "share of the head's inputs that are dropped"),
    FLOAT("recognition.lr_first", "0.001", 0, 10, "Adam's learning rate at the start"),
    FLOAT("recognition.lr_last", "1e-07", 0, 10, "and at the end, after divisions by 10"),
    INT("recognition.patience", "10", 1, 1e6, "epochs without a better Validation EER before a division"),
    INT("recognition.max_epochs", "0", 0, 1e6, "epochs at most in all; 0: no limit, as in the paper"),
    BOOL("recognition.fresh_adam", "yes", "Adam's moments start from zero after a division [R]"),
    INT("recognition.initialisations", "5", 1, 1000, "stored first weights of the head, each trained"),
    {"recognition.jobs", KEY_INT, "1", "trainings side by side if --jobs is not given; 0: one a core", 0, 1024, 0, 1},
    FLOAT("recognition.s", "64", 0.1, 1e4, "ArcFace's scale [R]"),
    FLOAT("recognition.m", "0.5", 0, 1.6, "ArcFace's margin, radians [R]"),
    BOOL("recognition.easy_gradient", "no", "ArcFace's gradient without the factor sin(t + m) / sin(t) [R]"),

    TEXT("recognition.trunk", "none", "first weights of the trunk: none (random), attributes (see trunk.*), or a "
                                      "safetensors file under torchvision's names [R]"),

    /* a trunk that learns the attributes of drawn people */
    INT("trunk.people", "2000", 2, 1e6, "people, others than in every set [R]"),
    INT("trunk.images", "40000", 4, 1e8, "their images; a tenth more, of other people, measure the error [R]"),
    INT("trunk.epochs", "30", 1, 1e5, "passes over the images [R]"),
    INT("trunk.batch", "128", 2, 65536, "images in a step [R]"),
    FLOAT("trunk.lr", "0.001", 0, 10, "Adam's learning rate at the start; it falls to 0 along a cosine [R]"),

    /* augmentation of recognition training */
    FLOAT("augmentation.blur", "0.2", 0, 1, "probability of a Gaussian blur"),
    FLOAT("augmentation.blur_least", "1", 0, 100, "its least sigma, pixels"),
    FLOAT("augmentation.blur_most", "2", 0, 100, "its largest sigma, pixels"),
    FLOAT("augmentation.rotation", "0.8", 0, 1, "probability of a rotation"),
    FLOAT("augmentation.degrees", "15", 0, 180, "largest rotation to either side"),
    FLOAT("augmentation.brightness", "0.5", 0, 1, "probability of another brightness"),
    FLOAT("augmentation.brightness_by", "0.2", 0, 1, "the factor lies within 1 -+ this [R]"),
    FLOAT("augmentation.contrast", "0.5", 0, 1, "probability of another contrast"),
    FLOAT("augmentation.contrast_by", "0.2", 0, 1, "the factor lies within 1 -+ this [R]"),
    FLOAT("augmentation.grey", "0.05", 0, 1, "probability of no colours"),
    FLOAT("augmentation.scale_least", "0.8", 0.01, 10, "least size"),
    FLOAT("augmentation.scale_most", "1.2", 0.01, 10, "largest size"),
    CHOICE("augmentation.crop", "area", "area|zoom", "sizes are areas, as RandomResizedCrop's, or sides [R]"),

    /* evaluation */
    INT("evaluation.matching", "3000", 1, 1e8, "matching pairs"),
    INT("evaluation.non_matching", "3000", 1, 1e8, "non-matching pairs"),
    INT("evaluation.bootstrap", "1000", 0, 1e6, "replicates of an interval"),
    FLOAT("evaluation.level", "0.95", 0.5, 0.9999, "level of an interval"),
    INT("evaluation.seed", "1", 0, 9e15, "seed of pairs and intervals"),
};

const int config_key_count = sizeof config_keys / sizeof *config_keys;
