"""Data: datasets, samplers, the DataLoader, transforms, and the readers of files."""

from . import datasets, transforms
from .collate import default_collate, default_convert
from .dataset import (
    ArrayDataset,
    ChainDataset,
    ConcatDataset,
    Dataset,
    ImageArrayDataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .digits import SyntheticDigits
from .folder import ImageFolder
from .idx import read_idx
from .loader import DataLoader, get_worker_info
from .mnist import MNIST, FashionMNIST, find_data_root
from .sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
