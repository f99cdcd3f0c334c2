"""Data: datasets, samplers, the DataLoader, transforms, and the readers of files."""

from mydl.data import datasets, transforms
from mydl.data.collate import default_collate, default_convert
from mydl.data.dataset import (
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
from mydl.data.digits import SyntheticDigits
from mydl.data.folder import ImageFolder
from mydl.data.idx import read_idx
from mydl.data.loader import DataLoader, get_worker_info
from mydl.data.mnist import MNIST, FashionMNIST, find_data_root
from mydl.data.sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
