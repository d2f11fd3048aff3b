"""Trains a network and keeps the course's statistics and the gradient flow of section 4.1.

Takes the place of the framework's file, whose interface `ExperimentBuilder` has.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn, optim
from torch.nn import functional as F


class ExperimentBuilder(nn.Module):
    """A training below the folder `experiment_name`: statistics in `result_outputs`, and in
    `saved_models` the weights and a picture of the gradient flow after each epoch.

    `continue_from_epoch`: -1 begins anew, -2 goes on after the last epoch that was saved,
    any other number after that epoch.
    """

    def __init__(
        self,
        network_model,
        experiment_name,
        num_epochs,
        train_data,
        val_data,
        test_data,
        weight_decay_coefficient,
        use_gpu,
        continue_from_epoch=-1,
        learning_rate=1e-3,
    ):
        super().__init__()
        gpu = use_gpu and torch.cuda.is_available()
        self.device = torch.device("cuda" if gpu else "cpu")
        self.model = network_model.to(self.device)
        self.model.reset_parameters()
        self.train_data, self.val_data, self.test_data = train_data, val_data, test_data
        self.num_epochs = num_epochs
        self.optimizer = optim.Adam(
            self.parameters(), learning_rate, weight_decay=weight_decay_coefficient
        )
        self.learning_rate_scheduler = optim.lr_scheduler.CosineAnnealingLR(
            self.optimizer, num_epochs, eta_min=2e-5
        )
        self.experiment_logs = Path(experiment_name, "result_outputs")
        self.experiment_saved_models = Path(experiment_name, "saved_models")
        self.plots = self.experiment_saved_models / "gradient_flow_plots"
        for folder in (self.experiment_logs, self.plots):
            folder.mkdir(parents=True, exist_ok=True)
        self.best_val_model_idx, self.best_val_model_acc = 0, -1.0
        self.starting_epoch, self.losses = 0, {}
        if continue_from_epoch != -1:
            index = "latest" if continue_from_epoch == -2 else continue_from_epoch
            self.load_model(self.experiment_saved_models, "train_model", index)

    def get_num_parameters(self):
        return sum(parameter.numel() for parameter in self.parameters())

    def plot_grad_flow(self, named_parameters):
        """Plot the mean absolute gradient of each layer's weights, from input to output, on
        a logarithmic axis; calls lay lines over each other. Without biases and the scales
        of normalisation, which have one dimension."""
        all_grads, layers = [], []
        for name, parameter in named_parameters:
            if parameter.dim() > 1:
                layers.append(name.removesuffix(".weight").replace("layer_dict.", ""))
                all_grads.append(parameter.grad.abs().mean().item())
        plt.plot(all_grads, alpha=0.3, color="b")
        plt.yscale("log")
        plt.xticks(range(len(layers)), layers, rotation="vertical", fontsize=6)
        plt.xlim(0, len(all_grads) - 1)
        plt.xlabel("Layers")
        plt.ylabel("Average Gradient")
        plt.title("Gradient flow")
        plt.grid(True)
        plt.tight_layout()
        return plt

    plot_grad_flows = plot_grad_flow  # as the brief calls it

    def run_train_iter(self, x, y):
        """Take one step on a minibatch; returns its loss and accuracy before the step."""
        self.train()
        loss, accuracy = self.score(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item(), accuracy

    @torch.no_grad()
    def run_evaluation_iter(self, x, y):
        """The loss and the accuracy of a minibatch."""
        self.eval()
        loss, accuracy = self.score(x, y)
        return loss.item(), accuracy

    def score(self, x, y):
        x, y = x.float().to(self.device), y.long().to(self.device)
        logits = self.model(x)
        return F.cross_entropy(logits, y), (logits.argmax(1) == y).float().mean().item()

    def run_epoch(self, data, run_iter, part):
        """The means of a pass over minibatches of equal size, and a smaller last one."""
        rows = [(len(y), *run_iter(x, y)) for x, y in data]
        images, losses, accuracies = torch.tensor(rows).double().T
        means = [(images @ values / images.sum()).item() for values in (accuracies, losses)]
        return dict(zip((f"{part}_acc", f"{part}_loss"), means, strict=True))

    def save_model(self, model_save_dir, model_save_name, model_idx):
        state = {name: getattr(self, name) for name in ("losses", "starting_epoch")}
        state |= {"best": [self.best_val_model_idx, self.best_val_model_acc]}
        state |= {"network": self.state_dict(), "optimizer": self.optimizer.state_dict()}
        state["scheduler"] = self.learning_rate_scheduler.state_dict()
        torch.save(state, Path(model_save_dir, f"{model_save_name}_{model_idx}"))

    def load_model(self, model_save_dir, model_save_name, model_idx):
        file = Path(model_save_dir, f"{model_save_name}_{model_idx}")
        state = torch.load(file, map_location=self.device, weights_only=True)
        self.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate_scheduler.load_state_dict(state["scheduler"])
        self.losses, self.starting_epoch = state["losses"], state["starting_epoch"]
        self.best_val_model_idx, self.best_val_model_acc = state["best"]

    def run_experiment(self):
        """Train to the last epoch, then test the weights that validate best; returns the
        statistics of both as lists by name."""
        for epoch in range(self.starting_epoch, self.num_epochs):
            scores = self.run_epoch(self.train_data, self.run_train_iter, "train")
            scores |= self.run_epoch(self.val_data, self.run_evaluation_iter, "val")
            self.learning_rate_scheduler.step()
            for name, value in scores.items():
                self.losses.setdefault(name, []).append(value)
            save_statistics(self.experiment_logs / "summary.csv", self.losses)
            if scores["val_acc"] > self.best_val_model_acc:
                self.best_val_model_idx = epoch
                self.best_val_model_acc = scores["val_acc"]
            self.starting_epoch = epoch + 1
            for index in (epoch, "latest"):
                self.save_model(self.experiment_saved_models, "train_model", index)
            picture = self.plot_grad_flow(self.model.named_parameters())
            picture.savefig(self.plots / f"epoch{epoch}.pdf")
            print(f"epoch {epoch}:", *(f"{k} {v:.4f}" for k, v in scores.items()))
        plt.close()
        losses = self.losses
        self.load_model(
            self.experiment_saved_models, "train_model", self.best_val_model_idx
        )
        scores = self.run_epoch(self.test_data, self.run_evaluation_iter, "test")
        test_losses = {name: [value] for name, value in scores.items()}
        save_statistics(self.experiment_logs / "test_summary.csv", test_losses)
        print(*(f"{name} {value:.4f}" for name, value in scores.items()))
        return losses, test_losses


def save_statistics(file, statistics):
    """Lists of numbers by name, as a table with a row an epoch."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(statistics)
        writer.writerows(zip(*statistics.values(), strict=True))
