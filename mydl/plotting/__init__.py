"""Every figure that mydl draws. Each function returns a Matplotlib `Figure`; none shows it or touches pyplot.

>>> import numpy as np
>>> figure = confusion_matrix(np.array([[9, 1], [0, 10]]), class_names=["cat", "dog"])
>>> type(figure).__name__
'Figure'
"""

from mydl.plotting.classification import confusion_matrix, single_prediction
from mydl.plotting.curves import learning_rates, training_curves
from mydl.plotting.graphs import autograd_dot, autograd_graph, network_diagram
from mydl.plotting.images import predictions, sample_grid, worst_mistakes
from mydl.plotting.layers import activation_histograms, gradient_histograms, layer_outputs
from mydl.plotting.representation import latent_space, principal_components, reconstructions
from mydl.plotting.style import save_figure
from mydl.plotting.weights import feature_maps, kernels, weight_images
