"""Linear evaluation, with the frozen encoder run again in every epoch, and nearest neighbors."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

TEST_INTERVAL = 5  # epochs


def linear_layer(features, classes):
    """The linear classifier: weights of standard deviation 0.01, bias 0."""
    layer = nn.Linear(features, classes)
    nn.init.normal_(layer.weight, mean=0.0, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def accuracy(encoder, classifier, loader, device):
    """Shares of clips whose label is the first, and among the first five, of the scores."""
    top1 = top5 = clips = 0
    for views, labels in loader:
        scores = classifier(encoder.fused(views.to(device)))
        ranked = scores.argsort(dim=1, descending=True)
        hits = ranked == labels.to(device)[:, None]
        top1 += hits[:, :1].sum().item()
        top5 += hits[:, :5].sum().item()
        clips += len(labels)
    return top1 / clips, top5 / clips


def linear_evaluation(encoder, train, test, classes, epochs=150, milestones=(120, 140), batch=512):
    """Train one linear layer on the fused feature of the frozen encoder.

    encoder: model.Encoder
    train, test: input.EvaluationViews
    Returns a list of (epoch, top-1, top-5) for every fifth epoch. The last is the honest figure;
    the entry with the greatest top-1 is what the paper reports.
    """
    encoder.eval()
    device = next(encoder.parameters()).device
    train_loader = DataLoader(train, batch, shuffle=True)
    test_loader = DataLoader(test, batch)
    with torch.no_grad():
        size = encoder.fused(torch.from_numpy(train[0][0])[None].to(device)).shape[1]
    classifier = linear_layer(size, classes).to(device)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.03, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    results = []
    for epoch in range(1, epochs + 1):
        for views, labels in train_loader:
            with torch.no_grad():
                features = encoder.fused(views.to(device))
            loss = F.cross_entropy(classifier(features), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        if epoch % TEST_INTERVAL == 0:
            results.append((epoch, *accuracy(encoder, classifier, test_loader, device)))
    return results


@torch.no_grad()
def extract_features(encoder, views, batch=512):
    """Fused features (N, 2H) and labels (N) of an input.EvaluationViews, on the CPU."""
    encoder.eval()
    device = next(encoder.parameters()).device
    features, labels = [], []
    for clips, targets in DataLoader(views, batch):
        features.append(encoder.fused(clips.to(device)).cpu())
        labels.append(targets)
    return torch.cat(features), torch.cat(labels)


def nearest_neighbors(train, test):
    """Index (N) into `train` (K, D) of the row nearest by cosine to each row of `test` (N, D)."""
    train = train / train.norm(dim=1, keepdim=True)
    nearest = []
    for row in test:
        nearest.append((train @ (row / row.norm())).argmax())
    return torch.stack(nearest)


def retrieval_accuracy(train, train_labels, test, test_labels):
    """Share of test rows whose nearest training row has their label."""
    nearest = nearest_neighbors(train, test)
    return (train_labels[nearest] == test_labels).float().mean().item()
