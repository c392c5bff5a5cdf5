"""Each shortcut of the network beside the plain version that it stands for."""

import pytest
import torch

from net.losses import umurl_loss
from net.umurl import UmURL
from tools.benchmark import shortcuts


@pytest.mark.parametrize("shortcut", shortcuts.PLAIN)
def test_a_shortcut_changes_neither_outputs_nor_gradients(shortcut):
    torch.manual_seed(0)
    model = UmURL(8, projector_width=12).double().train()
    views = torch.randn(4, 6, 64, 2, 25, 3, dtype=torch.float64)

    def run() -> list[torch.Tensor]:
        model.zero_grad()
        outputs = model(views)
        total = umurl_loss(*outputs)["total"]
        total.backward()
        return [total.detach(), *outputs, *(p.grad for p in model.parameters())]

    ours = [tensor.detach().clone() for tensor in run()]
    with shortcuts.without(shortcut):
        plain = run()
    for here, there in zip(ours, plain, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("shortcut", shortcuts.PLAIN)
def test_without_a_shortcut_the_plain_version_is_what_runs(shortcut, monkeypatch):
    owner, name, _ = shortcuts.PLAIN[shortcut]
    calls = []
    monkeypatch.setitem(shortcuts.PLAIN, shortcut, (owner, name, lambda *_: calls.append(1)))
    model = UmURL(8, projector_width=12).train()
    with shortcuts.without(shortcut), pytest.raises((TypeError, ValueError, AttributeError)):
        umurl_loss(*model(torch.randn(4, 6, 64, 2, 25, 3)))
    assert calls
