// The GPU kernels, for arrays of float or double (given with -DREAL=...) that are contiguous. Not yet run on a GPU.
// Sums run in double, in an order that the sizes alone decide, so that the same input gives the same bits.
//
// A pointer that is called `..._at` may be null. Where it is not, what it points to takes the place of the argument
// beside it: a captured step is told its learning rate and its place in the random sequence there.

typedef REAL T;
typedef long long i64;
typedef unsigned long long u64;

#define ELEMENT ((i64)blockIdx.x * blockDim.x + threadIdx.x)
#define MOST_THREADS 256
#define PARTS 16
#define INF __longlong_as_double(0x7FF0000000000000LL)

// The sum of `value` over the block's threads (32 to MOST_THREADS), given to each of them.
__device__ double block_sum(double value, double* scratch) {
    scratch[threadIdx.x] = value;
    __syncthreads();
    if (threadIdx.x < PARTS) {
        double part = 0;
        for (unsigned i = threadIdx.x; i < blockDim.x; i += PARTS) part += scratch[i];
        scratch[MOST_THREADS + threadIdx.x] = part;
    }
    __syncthreads();
    double total = 0;
    for (int i = 0; i < PARTS; i++) total += scratch[MOST_THREADS + i];
    __syncthreads();
    return total;
}

__device__ double block_max(double value, double* scratch) {
    scratch[threadIdx.x] = value;
    __syncthreads();
    double largest = scratch[0];
    for (unsigned i = 1; i < blockDim.x; i++) largest = fmax(largest, scratch[i]);
    __syncthreads();
    return largest;
}

// Elementwise --------------------------------------------------------------------------------------------------

extern "C" __global__ void relu_backward(const T* grad, const T* y, T* dx, i64 size) {
    i64 i = ELEMENT;
    if (i < size) dx[i] = y[i] <= 0 ? T(0) : grad[i];
}

// running = (1 - momentum) running + momentum batch for the mean, and for the variance with the divisor n - 1.
extern "C" __global__ void move_statistics(T* running_mean, T* running_var, const T* mean, const T* var, i64 size,
                                           double momentum, double correction) {
    i64 i = ELEMENT;
    if (i >= size) return;
    running_mean[i] = running_mean[i] * T(1 - momentum) + mean[i] * T(momentum);
    running_var[i] = running_var[i] * T(1 - momentum) + var[i] * T(correction) * T(momentum);
}

// Random words: Philox4x64-10 (Salmon et al., 2011), NumPy's -----------------------------------------------------

__device__ void philox_block(u64 key0, u64 key1, u64 block, u64 c1, u64 c2, u64 c3, u64* words) {
    u64 x0 = block + 1, x1 = c1, x2 = c2, x3 = c3;  // NumPy counts on before it draws
    for (int round = 0; round < 10; round++) {
        u64 high0 = __umul64hi(x0, 0xD2E7470EE14C6C93ULL), low0 = x0 * 0xD2E7470EE14C6C93ULL;
        u64 high1 = __umul64hi(x2, 0xCA5A826395121157ULL), low1 = x2 * 0xCA5A826395121157ULL;
        x0 = high1 ^ x1 ^ key0;
        x1 = low1;
        x2 = high0 ^ x3 ^ key1;
        x3 = low0;
        key0 += 0x9E3779B97F4A7C15ULL;
        key1 += 0xBB67AE8584CAA73BULL;
    }
    words[0] = x0, words[1] = x1, words[2] = x2, words[3] = x3;
}

extern "C" __global__ void philox_words(u64* out, i64 size, u64 key0, u64 key1, u64 c1, u64 c2, u64 c3,
                                        const u64* key0_at, const u64* c1_at) {
    i64 block = ELEMENT;
    if (block * 4 >= size) return;
    u64 words[4];
    philox_block(key0_at ? *key0_at : key0, key1, block, c1_at ? *c1_at + c1 : c1, c2, c3, words);
    for (int j = 0; j < 4 && block * 4 + j < size; j++) out[block * 4 + j] = words[j];
}

// A block of the sequence has 16 numbers of 16 bits; element i is kept where number i reaches the threshold.
extern "C" __global__ void dropout(const T* x, T* y, i64 size, int threshold, double scale, u64 key0, u64 key1, u64 c1,
                                   u64 c2, u64 c3, const u64* key0_at, const u64* c1_at) {
    i64 block = ELEMENT;
    if (block * 16 >= size) return;
    u64 words[4];
    philox_block(key0_at ? *key0_at : key0, key1, block, c1_at ? *c1_at + c1 : c1, c2, c3, words);
#pragma unroll  // so that the words stay in registers
    for (int j = 0; j < 16; j++) {
        if (block * 16 + j >= size) return;
        int bits = (int)(words[j / 4] >> (16 * (j % 4)) & 0xFFFF);
        y[block * 16 + j] = bits >= threshold ? x[block * 16 + j] * T(scale) : T(0);
    }
}

// Cross entropy, a block to a row --------------------------------------------------------------------------------

extern "C" __global__ void cross_entropy(const T* logits, const i64* target, const T* weight_at, T* loss,
                                         T* log_sum_exp, i64 classes, i64 ignore_index, double smoothing) {
    __shared__ double scratch[MOST_THREADS + PARTS];
    const T* z = logits + blockIdx.x * classes;
    double largest = -INF;
    for (i64 c = threadIdx.x; c < classes; c += blockDim.x) largest = fmax(largest, (double)z[c]);
    largest = block_max(largest, scratch);
    double sum = 0;
    for (i64 c = threadIdx.x; c < classes; c += blockDim.x) sum += exp(z[c] - T(largest));
    double log_sum = log(block_sum(sum, scratch));
    double smooth = 0;
    if (smoothing != 0) {
        for (i64 c = threadIdx.x; c < classes; c += blockDim.x)
            smooth += (weight_at ? weight_at[c] : T(1)) * (log_sum - (z[c] - largest));
        smooth = T(block_sum(smooth, scratch));  // beyond T's range it is infinite
    }
    if (threadIdx.x != 0) return;
    i64 label = target[blockIdx.x];
    double value = 0;
    if (label != ignore_index) {
        value = INF - INF;  // of a label that is no class: the caller has looked at them
        if (label >= 0 && label < classes) {
            double hard = (weight_at ? weight_at[label] : T(1)) * (log_sum - (z[label] - largest));
            value = smoothing != 0 ? (1 - smoothing) * hard + smoothing / classes * smooth : hard;
        }
    }
    loss[blockIdx.x] = T(value);
    log_sum_exp[blockIdx.x] = T(largest + log_sum);
}

extern "C" __global__ void cross_entropy_backward(const T* grad, const T* logits, const T* log_sum_exp,
                                                  const i64* target, const T* weight_at, T* dlogits, i64 grad_stride,
                                                  i64 classes, i64 ignore_index, double smoothing) {
    __shared__ double scratch[MOST_THREADS + PARTS];
    const T* z = logits + blockIdx.x * classes;
    T* dz = dlogits + blockIdx.x * classes;
    T shift = log_sum_exp[blockIdx.x];
    double sum = 0, weights = 0;
    for (i64 c = threadIdx.x; c < classes; c += blockDim.x) {
        sum += exp(z[c] - shift);
        weights += weight_at ? weight_at[c] : T(1);
    }
    sum = block_sum(sum, scratch);
    weights = block_sum(weights, scratch);
    i64 label = target[blockIdx.x];
    bool kept = label != ignore_index;
    double g = grad[blockIdx.x * grad_stride];
    double hard = (1 - smoothing) * g, soft = smoothing / classes * g;
    if (kept && weight_at) hard *= label >= 0 && label < classes ? (double)weight_at[label] : INF - INF;
    double scale = (hard + soft * weights) / sum;
    for (i64 c = threadIdx.x; c < classes; c += blockDim.x) {
        double value = exp(z[c] - shift) * scale - soft * (weight_at ? weight_at[c] : T(1));
        dz[c] = kept ? T(c == label ? value - hard : value) : T(0);
    }
}

// Batch normalisation of (N, C, L): blocks are channel × slice of the channel's N · L elements ----------------------

__device__ i64 place(unsigned i, unsigned channels, unsigned length) {
    unsigned image = i / length;
    return ((i64)image * channels + blockIdx.x) * length + (i - image * length);
}

// Of each slice Σ d and Σ d², d being x less the channel's first element: near zero, where little is lost.
extern "C" __global__ void batch_norm_sums(const T* x, double* sums, unsigned count, unsigned channels,
                                           unsigned length) {
    __shared__ double scratch[MOST_THREADS + PARTS];
    double first = x[(i64)blockIdx.x * length], a = 0, b = 0;
    for (unsigned i = blockIdx.y * blockDim.x + threadIdx.x; i < count; i += gridDim.y * blockDim.x) {
        double d = x[place(i, channels, length)] - first;
        a += d;
        b += d * d;
    }
    a = block_sum(a, scratch);
    b = block_sum(b, scratch);
    if (threadIdx.x != 0) return;
    sums[(blockIdx.x * gridDim.y + blockIdx.y) * 2] = a;
    sums[(blockIdx.x * gridDim.y + blockIdx.y) * 2 + 1] = b;
}

// The sum over a channel's slices (no more than the block's threads) of one of the two sums.
__device__ double channel_sum(const double* sums, int which, double* scratch) {
    unsigned slice = threadIdx.x;
    return block_sum(slice < gridDim.y ? sums[(blockIdx.x * gridDim.y + slice) * 2 + which] : 0, scratch);
}

extern "C" __global__ void batch_norm(const T* x, const T* weight_at, const T* bias_at, const double* sums, T* y,
                                      T* mean, T* var, T* inv_std, unsigned count, unsigned channels, unsigned length,
                                      double eps) {
    __shared__ double scratch[MOST_THREADS + PARTS];
    double centre = channel_sum(sums, 0, scratch) / count;
    double variance = channel_sum(sums, 1, scratch) / count - centre * centre;
    if (variance < 0) variance = 0;  // rounding; NaN stays
    centre += x[(i64)blockIdx.x * length];
    double inverse = 1 / sqrt(variance + eps);
    double scale = weight_at ? inverse * weight_at[blockIdx.x] : inverse, shift = bias_at ? bias_at[blockIdx.x] : T(0);
    for (unsigned i = blockIdx.y * blockDim.x + threadIdx.x; i < count; i += gridDim.y * blockDim.x) {
        i64 at = place(i, channels, length);
        y[at] = T((x[at] - centre) * scale + shift);
    }
    if (blockIdx.y != 0 || threadIdx.x != 0) return;
    mean[blockIdx.x] = T(centre);
    var[blockIdx.x] = T(variance);
    inv_std[blockIdx.x] = T(inverse);
}

// Of each slice Σ grad and Σ grad · (x - mean).
extern "C" __global__ void batch_norm_backward_sums(const T* grad, const T* x, const T* mean, double* sums, unsigned count,
                                                    unsigned channels, unsigned length) {
    __shared__ double scratch[MOST_THREADS + PARTS];
    double centre = mean[blockIdx.x], a = 0, b = 0;
    for (unsigned i = blockIdx.y * blockDim.x + threadIdx.x; i < count; i += gridDim.y * blockDim.x) {
        i64 at = place(i, channels, length);
        a += grad[at];
        b += grad[at] * (x[at] - centre);
    }
    a = block_sum(a, scratch);
    b = block_sum(b, scratch);
    if (threadIdx.x != 0) return;
    sums[(blockIdx.x * gridDim.y + blockIdx.y) * 2] = a;
    sums[(blockIdx.x * gridDim.y + blockIdx.y) * 2 + 1] = b;
}

extern "C" __global__ void batch_norm_backward(const T* grad, const T* x, const T* weight_at, const T* mean,
                                               const T* inv_std, const double* sums, T* dx, T* dweight, T* dbias,
                                               unsigned count, unsigned channels, unsigned length) {
    __shared__ double scratch[MOST_THREADS + PARTS];
    double centre = mean[blockIdx.x], inverse = inv_std[blockIdx.x];
    double total = channel_sum(sums, 0, scratch), slope = channel_sum(sums, 1, scratch) * inverse;
    double scale = weight_at ? inverse * weight_at[blockIdx.x] : inverse;
    double per_grad = total / count, per_x = slope * inverse / count;
    for (unsigned i = blockIdx.y * blockDim.x + threadIdx.x; i < count; i += gridDim.y * blockDim.x) {
        i64 at = place(i, channels, length);
        dx[at] = T((grad[at] - per_grad - (x[at] - centre) * per_x) * scale);
    }
    if (blockIdx.y != 0 || threadIdx.x != 0) return;
    dweight[blockIdx.x] = T(slope);
    dbias[blockIdx.x] = T(total);
}

// Optimizers -----------------------------------------------------------------------------------------------------

// What the step about to be taken, the one after *steps, makes of the rates: {lr / (1 - beta1^step),
// sqrt(1 - beta2^step), 1 - lr · weight_decay, beta1}.
extern "C" __global__ void adam_rates(const i64* steps, const double* lr, const double* beta1, double beta2,
                                      double weight_decay, double* rates) {
    double step = (double)(*steps + 1);
    rates[0] = *lr / (1 - pow(*beta1, step));
    rates[1] = sqrt(1 - pow(beta2, step));
    rates[2] = 1 - *lr * weight_decay;
    rates[3] = *beta1;
}

extern "C" __global__ void adam_step(T* p, const T* grad, T* m, T* v, T* vmax_at, i64 size, double step_size,
                                     double root_correction, double kept, double beta1, const double* rates_at,
                                     double beta2, double eps, double weight_decay, int decoupled, int maximize) {
    i64 i = ELEMENT;
    if (i >= size) return;
    if (rates_at) step_size = rates_at[0], root_correction = rates_at[1], kept = rates_at[2], beta1 = rates_at[3];
    T g = maximize ? -grad[i] : grad[i], value = p[i];
    if (decoupled) value *= T(kept);
    else g += T(weight_decay) * value;
    T m1 = m[i] + T(1 - beta1) * (g - m[i]);
    T v1 = v[i] * T(beta2) + T(1 - beta2) * (g * g);
    m[i] = m1;
    v[i] = v1;
    if (vmax_at) {
        if (!(vmax_at[i] <= v1)) v1 = v1 != v1 ? v1 : vmax_at[i];  // the largest, or NaN
        vmax_at[i] = v1;
    }
    p[i] = value - m1 / (sqrt(v1) / T(root_correction) + T(eps)) * T(step_size);
}

extern "C" __global__ void sgd_step(T* p, const T* grad, T* momentum_at, i64 size, double lr, const double* lr_at,
                                    double momentum, const double* momentum_rate_at, double dampening,
                                    double weight_decay, int nesterov, int first, int maximize) {
    i64 i = ELEMENT;
    if (i >= size) return;
    if (lr_at) lr = *lr_at;
    if (momentum_rate_at) momentum = *momentum_rate_at;
    T g = (maximize ? -grad[i] : grad[i]) + T(weight_decay) * p[i];
    if (momentum_at) {
        T b = first ? g : momentum_at[i] * T(momentum) + T(1 - dampening) * g;
        momentum_at[i] = b;
        g = nesterov ? g + T(momentum) * b : b;
    }
    p[i] -= T(lr) * g;
}
