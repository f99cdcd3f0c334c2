// CUDA's words for a kernel that runs on the host: one block after the other, its threads in turn. At a barrier a
// thread is set aside (its stack and all) until the others have come to it.
#include <cmath>
#include <cstdint>
#include <csetjmp>
#include <cstring>
#include <ucontext.h>
#include <vector>

struct Place { unsigned x, y, z; };
static Place threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__ static
#define __shared__ static
#define __restrict__

using std::exp; using std::log; using std::pow; using std::sqrt; using std::fmax;

static unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}

static double __longlong_as_double(long long bits) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

namespace host {
static const size_t STACK = 64 * 1024;
struct Saved { jmp_buf place; };
static Saved scheduler;
static std::vector<Saved> set_aside;
static std::vector<ucontext_t> fibers;
static std::vector<char> stacks;
static unsigned running, ended;
static std::vector<char> finished;
static void (*body)(void**);
static void** arguments;

static void fiber() {
    body(arguments);
    finished[running] = 1;
    _longjmp(scheduler.place, 1);
}

// Every thread of a block up to its next barrier, in turn, until all have ended; false if only some come to one.
static bool block_with_barriers(unsigned threads) {
    fibers.resize(threads);
    stacks.resize(threads * STACK);
    set_aside.resize(threads);
    finished.assign(threads, 0);
    for (unsigned t = 0; t < threads; t++) {
        getcontext(&fibers[t]);
        fibers[t].uc_stack.ss_sp = &stacks[t * STACK];
        fibers[t].uc_stack.ss_size = STACK;
        fibers[t].uc_link = nullptr;
        makecontext(&fibers[t], fiber, 0);
    }
    for (bool begun = false;; begun = true) {
        ended = 0;
        for (running = 0; running < threads; running++) {
            threadIdx = {running, 0, 0};
            if (_setjmp(scheduler.place) == 0) {
                if (begun) _longjmp(set_aside[running].place, 1);
                setcontext(&fibers[running]);
            }
            ended += finished[running];
        }
        if (ended != 0) return ended == threads;
    }
}

static int run(void (*kernel)(void**), void** args, bool barriers, Place grid, Place block) {
    body = kernel;
    arguments = args;
    blockDim = block;
    gridDim = grid;
    for (unsigned y = 0; y < grid.y; y++)
        for (unsigned x = 0; x < grid.x; x++) {
            blockIdx = {x, y, 0};
            if (barriers) {
                if (!block_with_barriers(block.x)) return 1;
            } else {
                for (unsigned t = 0; t < block.x; t++) {
                    threadIdx = {t, 0, 0};
                    kernel(args);
                }
            }
        }
    return 0;
}
}  // namespace host

static void __syncthreads() {
    if (_setjmp(host::set_aside[host::running].place) == 0) _longjmp(host::scheduler.place, 1);
}
