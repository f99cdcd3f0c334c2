"""Model files as PyTorch's users write them, run twice: as they stand, and with their import lines changed.

Each text below says `make_model`, `make_optimizer` and `compute_loss`. Both libraries start from the same weights and
take three steps on the same batch in float64: losses, gradients, weights and buffers are to be the same.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import mydl

torch = pytest.importorskip("torch")

FILES = {}

FILES["convolutional network of a list, initialised in a loop"] = """
from collections import OrderedDict
from typing import List, Union, cast
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import MultiStepLR

def make_layers(cfg: List[Union[str, int]], in_channels: int = 3) -> nn.Sequential:
    layers: List[nn.Module] = []
    for v in cfg:
        if v == "M":
            layers += [nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)]
        else:
            v = cast(int, v)
            layers += [nn.Conv2d(in_channels, v, 3, padding=1), nn.BatchNorm2d(v), nn.ReLU(inplace=True)]
            in_channels = v
    return nn.Sequential(*layers)

class DenseLayer(nn.Sequential):
    def __init__(self, channels, growth):
        super(DenseLayer, self).__init__()
        self.add_module("relu", nn.ReLU(inplace=False)),
        self.add_module("conv", nn.Conv2d(channels, growth, kernel_size=3, padding=1, bias=False)),
    def forward(self, x):
        return torch.cat([x, super().forward(x)], 1)

class Plain(nn.Module):
    def __init__(self, features: nn.Module, num_classes: int = 10) -> None:
        super().__init__()
        self.features = features
        self.dense = nn.Sequential(OrderedDict([("layer%d" % (i + 1), DenseLayer(8 + 2 * i, 2)) for i in range(2)]))
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(48, 16), nn.ReLU(True), nn.Dropout(0.0), nn.Linear(16, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                if m.bias is not None:
                    nn.init.constant_(m.bias, 0)
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                m.weight.data.fill_(1)
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.dense(self.features(x))), 1))

def make_model():
    model = Plain(make_layers([4, "M", 8, "M"]))
    for param in model.features[:2].parameters():
        param.requires_grad = False
    return model

def make_optimizer(model):
    params = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = optim.SGD(params, 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    return optimizer, MultiStepLR(optimizer, milestones=[1, 2], gamma=0.1)

def compute_loss(model, images, labels):
    output = model(images)
    logpt = F.log_softmax(output, dim=1).gather(1, labels.view(-1, 1)).view(-1)
    focal = (-((1 - logpt.data.exp()) ** 2) * logpt).mean()
    return nn.CrossEntropyLoss(label_smoothing=0.1)(output, labels) + focal
"""

FILES["residual blocks, depthwise and squeezed"] = """
from functools import partial
import torch
from torch import Tensor, nn
from torch.nn import functional as F

class SqueezeExcitation(nn.Module):
    def __init__(self, c, r=2):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(c, c // r, bias=False), nn.SiLU(), nn.Linear(c // r, c), nn.Hardsigmoid())
    def forward(self, x):
        b, c, _, _ = x.size()
        return x * self.fc(x.mean((2, 3))).view(b, c, 1, 1).expand_as(x)

class InvertedResidual(nn.Module):
    expansion = 2
    def __init__(self, inp: int, oup: int, stride: int, norm_layer=nn.BatchNorm2d) -> None:
        super().__init__()
        hidden = int(round(inp * self.expansion))
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False), norm_layer(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), norm_layer(hidden), nn.Hardswish(),
            SqueezeExcitation(hidden), nn.Conv2d(hidden, oup, 1, bias=False), norm_layer(oup))
        self.shortcut = nn.Sequential()
        if stride != 1 or inp != oup:
            self.shortcut = nn.Sequential(nn.Conv2d(inp, oup, 1, stride=stride, bias=False), norm_layer(oup))
    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        out += self.shortcut(x)
        return F.relu(out)

class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        self.in_planes = 4
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layers = nn.ModuleList([self._block(p, s, norm) for p, s in ((4, 1), (8, 2))])
        self.linear = nn.Linear(8, 10)
    def _block(self, planes, stride, norm):
        block, self.in_planes = InvertedResidual(self.in_planes, planes, stride, norm), planes
        return block
    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        x = F.avg_pool2d(x, (8, 6))
        return self.linear(x.view(x.size(0), -1))

def make_model():
    return Mobile()

def make_optimizer(model):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.004, alpha=0.9, momentum=0.9, eps=0.03)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=4)

def compute_loss(model, images, labels):
    return F.nll_loss(F.log_softmax(model(images), dim=1), labels)
"""

FILES["U-Net with a soft Dice loss"] = """
import torch
import torch.nn as nn
import torch.nn.functional as F

class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(2, mid_channels), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding="same", padding_mode="reflect"),
            nn.InstanceNorm2d(out_channels, affine=True), nn.ELU())
    def forward(self, x):
        return self.double_conv(x)

class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels, kernel_size=2, stride=2)
        self.conv = DoubleConv(in_channels + out_channels, out_channels)
    def forward(self, x1, x2):
        x1 = self.up(x1)
        dy, dx = x2.size()[2] - x1.size()[2], x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([x2, x1], dim=1))

class UNet(nn.Module):
    def __init__(self, n_classes=3):
        super().__init__()
        self.n_classes = n_classes
        self.inc, self.down1, self.down2 = DoubleConv(3, 4), DoubleConv(4, 8), DoubleConv(8, 8)
        self.up1, self.up2 = Up(8, 8, bilinear=False), Up(8, 4, bilinear=True)
        self.outc = nn.Conv2d(4, n_classes, kernel_size=1)
    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.avg_pool2d(x2, 2))
        return self.outc(self.up2(self.up1(x3, x2), x1))

def make_model():
    return UNet()

def make_optimizer(model):
    return torch.optim.Adadelta(model.parameters()), None

def compute_loss(model, images, labels):
    masks = labels[:, None, None].expand(-1, images.shape[2], images.shape[3]) % model.n_classes
    logits = model(images)
    probs, target = logits.softmax(dim=1), F.one_hot(masks, model.n_classes).permute(0, 3, 1, 2).type_as(logits)
    inter, total = (probs * target).sum(dim=(-1, -2)), (probs + target).sum(dim=(-1, -2))
    dice = torch.where(total == 0, torch.ones_like(total), (2 * inter + 1) / (total + 1))
    return F.cross_entropy(logits, masks) + (1 - dice.mean())
"""

FILES["a small GPT with tied weights"] = """
import math
from dataclasses import dataclass
import torch
import torch.nn as nn
from torch.nn import functional as F

@dataclass
class Config:
    block_size: int = 48
    vocab_size: int = 32
    n_embd: int = 8

class CausalSelfAttention(nn.Module):
    def __init__(self, config, flash):
        super().__init__()
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.n_head, self.flash = 2, flash
        self.register_buffer("tril", torch.tril(torch.ones(config.block_size, config.block_size))[None, None])
    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
        if self.flash:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
        else:
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            att = att.masked_fill(self.tril[:, :, :T, :T] == 0, float("-inf"))
            y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

class Block(nn.Module):
    def __init__(self, config, flash):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd, bias=False)
        self.attn = CausalSelfAttention(config, flash)
        self.mlp = nn.Sequential(nn.Linear(config.n_embd, 16), nn.GELU(), nn.Linear(16, config.n_embd))
    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(config.vocab_size, config.n_embd), wpe=nn.Embedding(config.block_size, config.n_embd),
            h=nn.ModuleList([Block(config, flash=i % 2 == 0) for i in range(2)])))
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.apply(self._init_weights)
    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
    def forward(self, idx, targets=None):
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
        x = self.transformer.wte(idx) + self.transformer.wpe(pos)
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(x)
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1), ignore_index=-1)

def make_model():
    return GPT(Config())

def make_optimizer(model):
    params = {n: p for n, p in model.named_parameters() if p.requires_grad}
    groups = [{"params": [p for p in params.values() if p.dim() >= 2], "weight_decay": 0.1},
              {"params": [p for p in params.values() if p.dim() < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=6e-3, betas=(0.9, 0.95)), None

def compute_loss(model, images, labels):
    tokens = (images.flatten(1)[:, :32] * 8).long() % 32
    targets = tokens[:, 1:].clone()
    targets[:, ::5] = -1
    logits, loss = model(tokens[:, :-1], targets)
    with torch.no_grad():
        logits = logits / 0.8
        v, _ = torch.topk(logits, 5)
        logits[logits < v[:, :, [-1]]] = -float("Inf")
        probs = F.softmax(logits, dim=-1)
    return loss * probs.max()
"""

FILES["vision transformer, and encoder layers of the library"] = """
import torch
from torch import einsum, nn

class Attention(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, dim * 3, bias=False)
        self.proj = nn.Linear(dim, dim)
    def forward(self, x):
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attn = (einsum("b h i d, b h j d -> b h i j", q, k) * self.scale).softmax(dim=-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(B, N, C))

class ViT(nn.Module):
    def __init__(self, dim=8, patch=4, patches=12):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, patches + 1, dim))
        self.register_buffer("scale", torch.ones(dim), persistent=False)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.norm, self.attn = nn.LayerNorm(dim, eps=1e-6), Attention(dim)
        layer = nn.TransformerEncoderLayer(dim, 2, 16, 0.0, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, 10)
    def forward(self, img):
        x = self.patch_embed(img).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(img.shape[0], -1, -1), x), dim=1) + self.pos_embed
        x = x + self.attn(self.norm(x)) * self.scale
        padding = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        padding[1:, -2:] = True
        return self.head(self.encoder(x, src_key_padding_mask=padding)[:, 0])

def make_model():
    return ViT()

def make_optimizer(model):
    optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)

def compute_loss(model, images, labels):
    return nn.functional.cross_entropy(model(images), labels)
"""

FILES["sequence to sequence: LSTM, GRU cell, attention"] = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence

class Encoder(nn.Module):
    def __init__(self, vocab, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden, padding_idx=0)
        self.lstm = nn.LSTM(hidden, hidden, num_layers=2, bidirectional=True, batch_first=True)
    def forward(self, x):
        out, (h, c) = self.lstm(self.embedding(x))
        return out, torch.tanh(h.view(2, 2, x.size(0), -1)[-1].sum(0) + c[-1])

class Decoder(nn.Module):
    def __init__(self, vocab, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.Wa, self.Ua, self.Va = nn.Linear(hidden, hidden), nn.Linear(2 * hidden, hidden), nn.Linear(hidden, 1)
        self.cell = nn.GRUCell(3 * hidden, hidden)
        self.out = nn.Linear(hidden, vocab)
    def forward(self, keys, hidden, target):
        step = torch.full((keys.size(0),), 1, dtype=torch.long)
        outputs = []
        for i in range(target.size(1)):
            scores = self.Va(torch.tanh(self.Wa(hidden).unsqueeze(1) + self.Ua(keys))).squeeze(2)
            weights = F.softmax(scores, dim=-1)
            context = torch.bmm(weights.unsqueeze(1), keys).squeeze(1)
            hidden = self.cell(torch.cat((self.embedding(step), context), dim=1), hidden)
            outputs.append(self.out(hidden))
            _, topi = outputs[-1].detach().topk(1)
            step = target[:, i] if i % 2 == 0 else topi.squeeze(-1)
        return torch.stack(outputs, dim=1)

class Seq2Seq(nn.Module):
    def __init__(self, vocab=12, hidden=6):
        super().__init__()
        self.encoder, self.decoder = Encoder(vocab, hidden), Decoder(vocab, hidden)
        for name, param in self.named_parameters():
            nn.init.orthogonal_(param) if param.dim() > 1 else nn.init.uniform_(param, -0.08, 0.08)
    def forward(self, source, target):
        return self.decoder(*self.encoder(source), target)

def make_model():
    return Seq2Seq()

def make_optimizer(model):
    return torch.optim.Adagrad(model.parameters(), lr=0.05), None

def compute_loss(model, images, labels):
    rows = (images[:, 0, 0].abs() * 10).long() % 11 + 1
    tokens = pad_sequence([row[: 3 + i] for i, row in enumerate(rows)], batch_first=True)
    out = model(tokens, tokens.flip(1))
    for p in model.parameters():
        if p.grad is not None:
            assert clip_grad_norm_(p, 1e9) >= 0
    return F.cross_entropy(out.permute(0, 2, 1), tokens.flip(1), ignore_index=0)
"""

FILES["gradient penalty and a differential equation"] = """
import torch
import torch.nn as nn
from torch import autograd

class Critic(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, dim, 3, stride=2, padding=1), nn.InstanceNorm2d(dim, affine=True), nn.LeakyReLU(0.2),
            nn.Conv2d(dim, dim * 2, 3, stride=2, padding=1), nn.Softplus(), nn.Flatten(),
            nn.Linear(dim * 2 * 12, 1))
        self.field = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    def forward(self, x):
        return self.net(x)
    def residual(self, x, t):
        u = self.field(torch.cat([x, t], dim=1))
        u_x = autograd.grad(u, x, grad_outputs=torch.ones_like(u), retain_graph=True, create_graph=True)[0]
        u_t, = autograd.grad(u.sum(), t, create_graph=True)
        u_xx = autograd.grad(u_x, x, torch.ones_like(u_x), create_graph=True)[0]
        return u_t + u * u_x - (0.01 / torch.pi) * u_xx

def make_model():
    return Critic()

def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.0, 0.9)), None

def compute_loss(model, images, labels):
    real, fake = images, images.flip(0).detach()
    alpha = torch.linspace(0, 1, len(real)).view(-1, 1, 1, 1)
    between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = model(between)
    gradients = autograd.grad(scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True)[0]
    penalty = ((gradients.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()
    x = real[:, 0, 0, :1].clone().requires_grad_()
    t = real[:, 0, 1, :1].clone().requires_grad_()
    return model(fake).mean() - model(real).mean() + 10 * penalty + model.residual(x, t).pow(2).mean()
"""

FILES["older idioms and layers made by hand"] = """
import math
import numpy as np
import torch
import torch.backends.cudnn as cudnn
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data
from torch.autograd import Variable
from torch.nn import init
from torch.nn.parameter import Parameter
from torch.optim.lr_scheduler import _LRScheduler

device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
torch.cuda.manual_seed_all(0)
cudnn.benchmark = True
torch.backends.cudnn.deterministic = True

class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, i):
        ctx.save_for_backward(i)
        return i * torch.sigmoid(i)
    @staticmethod
    def backward(ctx, grad_output):
        i, = ctx.saved_tensors
        s = torch.sigmoid(i)
        return grad_output * (s * (1 + i * (1 - s)))

class MyLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super(MyLinear, self).__init__()
        self.weight = Parameter(torch.Tensor(out_features, in_features))
        self.bias = Parameter(torch.Tensor(out_features))
        self.register_parameter("unused", None)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
        self.bias.data.uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
    def forward(self, input):
        return F.linear(input, self.weight, self.bias)
    def extra_repr(self):
        return "in_features={}".format(self.weight.size(1))

class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1, self.rnn, self.fc2 = MyLinear(24, 8), nn.RNN(8, 8, nonlinearity="relu"), MyLinear(8, 10)
    def forward(self, x):
        weight = next(self.parameters()).data
        hidden = weight.new(1, x.size(0), 8).zero_()
        h = Swish.apply(self.fc1(x[:, 0].contiguous().view(x.size(0), 4 * 2, -1)[:, :, :24]))
        out, hidden = self.rnn(h.transpose(0, 1), hidden)
        return self.fc2(out[-1])

class Warmup(_LRScheduler):
    def get_lr(self):
        return [base * min(1.0, (self.last_epoch + 1) / 2) for base in self.base_lrs]

def make_model():
    model = Net().to(device)
    assert all(isinstance(p, nn.Parameter) and p.dtype == torch.get_default_dtype() for p in model.parameters())
    return model

def make_optimizer(model):
    optimizer = torch.optim.SGD([{"params": model.fc1.parameters(), "lr": 0.2}], lr=0.1)
    optimizer.add_param_group({"params": model.fc2.parameters()})
    optimizer.add_param_group({"params": model.rnn.parameters(), "momentum": 0.5})
    return optimizer, Warmup(optimizer)

def compute_loss(model, images, labels):
    wide = torch.cat([images, images], dim=-1).repeat(1, 1, 2, 1)
    dataset = torch.utils.data.TensorDataset(Variable(wide), Variable(labels.type(torch.LongTensor)))
    data, target = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=False, num_workers=0)))
    xor = F.mse_loss(model.fc2.bias[:1] * torch.Tensor([[0, 1], [1, 0]]), torch.from_numpy(np.eye(2)))
    return nn.NLLLoss()(nn.LogSoftmax(dim=1)(model(Variable(data, requires_grad=True))), target) + xor
"""


def ported(source: str) -> str:
    """The text with its import lines, and nothing else, changed as the README says."""
    lines = []
    for line in source.split("\n"):
        if re.match(r"(import|from) torch", line):
            line = line.replace("torch.utils.data", "mydl.data") if line.startswith("from") else line
            line = "import mydl as torch" if line == "import torch" else re.sub(r"\btorch\b", "mydl", line)
        lines.append(line)
    return "\n".join(lines)


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    mydl.set_default_dtype(mydl.float64)
    yield
    torch.set_default_dtype(torch.float32)
    mydl.set_default_dtype(mydl.float32)


def host(tensor) -> np.ndarray:
    return tensor.detach().numpy()


def steps(file: dict, library, model) -> list[np.ndarray]:
    """Three training steps: the loss and every gradient of each, in order."""
    rng = np.random.default_rng(0)
    batch = library.from_numpy(rng.standard_normal((4, 3, 16, 12))), library.from_numpy(rng.integers(0, 10, 4))
    optimizer, scheduler = file["make_optimizer"](model)
    seen = []
    for _ in range(3):
        loss = file["compute_loss"](model, *batch)
        optimizer.zero_grad()
        loss.backward()
        seen += [host(loss)] + [host(p.grad) for p in model.parameters() if p.grad is not None]
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return seen


@pytest.mark.parametrize("name", FILES)
def test_a_file_moves_over_by_its_import_lines(name):
    theirs, ours = {"__name__": "theirs"}, {"__name__": "ours"}
    exec(compile(FILES[name], f"<{name}>", "exec", dont_inherit=True), theirs)
    exec(compile(ported(FILES[name]), f"<{name}>", "exec", dont_inherit=True), ours)
    torch.manual_seed(0)
    original, model = theirs["make_model"](), ours["make_model"]()
    weights = {key: host(value).copy() for key, value in original.state_dict().items()}
    assert list(model.state_dict()) == list(weights)
    model.load_state_dict(weights)
    expected = steps(theirs, torch, original)
    found = steps(ours, mydl, model)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    for key, value in original.state_dict().items():
        np.testing.assert_allclose(host(model.state_dict()[key]), host(value), rtol=1e-6, atol=1e-7, err_msg=key)
