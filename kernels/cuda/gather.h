/* gather.h - elements of x in the order of y, where axes are repeated or change places.
 *   gather        a thread an element of y, 256 a block
 *   gather_tiles  x runs along another axis than y: squares of 32 x 32 through shared memory, so that both reading
 *                 and writing are in whole lines
 *   bound         memory: 8 bytes an element of 4 */
#ifndef KERNELS_CUDA_GATHER_H
#define KERNELS_CUDA_GATHER_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/walk.h"

enum { GATHER_TILE = 32, GATHER_ROWS = CUDA_BLOCK / GATHER_TILE };

template <typename T>
__global__ void gather_kernel(T *y, const T *x, Walk w, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = x[walk_offset(w, i).at[1]];
}

/* Squares of `rows`, the axis that x runs along, and `columns`, the last axis of y. */
typedef struct GatherTiles {
    Walk others;              /* all loops but these two */
    int64_t rows, columns, row_tiles, column_tiles;
    int64_t y_row, x_column;  /* strides; x along rows and y along columns have stride 1 */
} GatherTiles;

template <typename T>
__global__ void gather_tiles_kernel(T *y, const T *x, GatherTiles g)
{
    __shared__ T tile[GATHER_TILE][GATHER_TILE + 1];
    int64_t b = blockIdx.x, column_tile = b % g.column_tiles, row_tile = b / g.column_tiles % g.row_tiles;
    WalkOffset o = walk_offset(g.others, b / g.column_tiles / g.row_tiles);
    int along = threadIdx.x % GATHER_TILE, across = threadIdx.x / GATHER_TILE;
    int64_t row = row_tile * GATHER_TILE + along;
    for (int i = across; i < GATHER_TILE; i += GATHER_ROWS) {
        int64_t column = column_tile * GATHER_TILE + i;
        if (row < g.rows && column < g.columns)
            tile[i][along] = x[o.at[1] + column * g.x_column + row];
    }
    __syncthreads();
    int64_t column = column_tile * GATHER_TILE + along;
    for (int i = across; i < GATHER_TILE; i += GATHER_ROWS) {
        row = row_tile * GATHER_TILE + i;
        if (row < g.rows && column < g.columns)
            y[o.at[0] + row * g.y_row + column] = tile[along][i];
    }
}

/* w.stride[0] for y, w.stride[1] for x; n elements. */
template <typename T>
static void gather(cudaStream_t stream, T *y, const T *x, const Walk *w, int64_t n)
{
    if (!n)
        return;
    int last = w->rank - 1, fast = last;
    for (int i = 0; i < last && w->stride[1][last] > 1; i++)
        if (w->stride[1][i] == 1)
            fast = i;
    if (fast == last || w->dim[fast] < 8 || w->dim[last] < 8) {
        LAUNCH(gather_kernel<T>, cuda_grid(n), CUDA_BLOCK, 0, stream, y, x, *w, n);
        return;
    }
    GatherTiles g = {};
    g.rows = w->dim[fast];
    g.columns = w->dim[last];
    g.row_tiles = (g.rows + GATHER_TILE - 1) / GATHER_TILE;
    g.column_tiles = (g.columns + GATHER_TILE - 1) / GATHER_TILE;
    g.y_row = w->stride[0][fast];
    g.x_column = w->stride[1][last];
    g.others = *w;
    g.others.dim[fast] = 1;
    g.others.dim[last] = 1;
    int64_t outer = n / g.rows / g.columns;
    LAUNCH(gather_tiles_kernel<T>, (unsigned)(outer * g.row_tiles * g.column_tiles), CUDA_BLOCK, 0, stream, y, x, g);
}

#endif
