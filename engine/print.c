/* print.c - programs as text and as pictures. */
#include <stdlib.h>
#include <string.h>

#include "engine/program.h"

static const char *value_text(const Prog *p, int v, char *text, size_t size)
{
    static const char *const dtypes[] = {"", " i32", " u8"};
    static const char *const formats[FORMATS] = {"", " C16", " NHWC", " C16 bf16", " NHWC bf16"};
    char shape[96];
    const Value *x = &p->values[v > 0 && v < p->nvalues ? v : 0];
    if (v <= 0 || v >= p->nvalues)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%%%d%s%s %s%s%s", v, x->name ? " " : "", x->name ? x->name : "",
                 shape_text(x->shape, shape, sizeof shape), dtypes[x->dtype], formats[x->format]);
    return text;
}

void prog_print(const Prog *p, FILE *to)
{
    double flop = 0, bytes = 0;
    char text[256];
    for (int v = 1; v < p->nvalues; v++)
        if (p->values[v].from != FROM_NODE)
            fprintf(to, "  %-7s %s\n", p->values[v].from == FROM_INPUT ? "input" : "store",
                    value_text(p, v, text, sizeof text));
    for (int n = 0; n < p->nnodes; n++) {
        const Node *node = &p->nodes[n];
        char attrs[512];
        op_attrs_print(node->op, node->attrs, attrs, sizeof attrs);
        fprintf(to, "%5d  ", n);
        for (int j = 0; j < node->nout && j < 6; j++)
            fprintf(to, "%s%s", j ? ", " : "", value_text(p, node->out[j], text, sizeof text));
        fprintf(to, "%s = %s(", node->nout > 6 ? ", ..." : "", node->op->name);
        for (int i = 0; i < node->nin && i < 8; i++)
            fprintf(to, node->in[i] ? "%s%%%d" : "%s-", i ? ", " : "", node->in[i]);
        fprintf(to, "%s%s%s)  %.3g MFLOP %.3g MB\n", node->nin > 8 ? ", ..." : "", *attrs ? "; " : "", attrs,
                node_flop(p, node) / 1e6, node_bytes(p, node) / 1e6);
        flop += node_flop(p, node);
        bytes += node_bytes(p, node);
    }
    for (int i = 0; i < p->noutputs; i++)
        fprintf(to, "  output  %%%d\n", p->outputs[i]);
    for (int i = 0; i < p->nupdates; i++)
        fprintf(to, "  update  %s = %%%d\n", p->store->entries[p->updates[i].entry]->name, p->updates[i].value);
    fprintf(to, "%d ops, %.4g GFLOP, %.4g GB moved\n", p->nnodes, flop / 1e9, bytes / 1e9);
    if (p->mistake)
        fprintf(to, "mistake: %s\n", p->mistake);
}

void prog_dot(const Prog *p, FILE *to)
{
    char text[256];
    fprintf(to, "digraph program {\n  node [shape=box, fontsize=10];\n");
    for (int v = 1; v < p->nvalues; v++)
        if (p->values[v].from != FROM_NODE)
            fprintf(to, "  v%d [shape=ellipse, label=\"%s\"];\n", v, value_text(p, v, text, sizeof text));
    for (int n = 0; n < p->nnodes; n++) {
        const Node *node = &p->nodes[n];
        fprintf(to, "  n%d [label=\"%s\"];\n", n, node->op->name);
        for (int i = 0; i < node->nin; i++) {
            const Value *x = &p->values[node->in[i]];
            if (node->in[i] && x->from == FROM_NODE)
                fprintf(to, "  n%d -> n%d [label=\"%s\", fontsize=8];\n", x->source, n,
                        value_text(p, node->in[i], text, sizeof text));
            else if (node->in[i])
                fprintf(to, "  v%d -> n%d;\n", node->in[i], n);
        }
    }
    fprintf(to, "}\n");
}
