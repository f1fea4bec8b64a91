"""How far a student's chances of the next token are from its guide's, and which way its logits must go to be nearer.

With p the guide's chances and q the student's, both of logits divided by a temperature T (Hinton et al. 2015):

- beta 0, forward: the cross-entropy -sum p log q, which is KL(p|q) and a constant. The student must give a chance to all that the guide
  does.
- beta 1, reverse: KL(q|p). The student must give none to what the guide does not.
- between: the generalised Jensen-Shannon divergence beta KL(p|m) + (1 - beta) KL(q|m) with m = beta p + (1 - beta) q (Agarwal et al. 2024).
  It is as it was published, not scaled: near its ends it is about beta (1 - beta) of the KL that stands there.

All are multiplied by T squared, so that gradients are as large at every temperature.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pulled(logits: Tensor, seen: Tensor, temperature: float, beta: float) -> tuple[Tensor, Tensor]:
    """The divergence of each row (n,), nats, and its gradient by the student's logits (n, vocabulary), both in 32 bits.

    Args:
        logits: (n, vocabulary) the student's.
        seen: (n, vocabulary) the guide's.
        temperature: above 0.
        beta: 0..1.
    """
    t = temperature
    wanted, own = (torch.log_softmax(x.float() / t, dim=-1) for x in (seen, logits))
    p, q = wanted.exp(), own.exp()
    if beta == 0:
        return -(p * own).sum(-1) * (t * t), (q - p) * t
    if beta == 1:
        ratio = own - wanted
        found = (q * ratio).sum(-1)
        return found * (t * t), q * (ratio - found[:, None]) * t
    mixed = torch.logaddexp(wanted + torch.tensor(beta).log(), own + torch.tensor(1 - beta).log())
    ratio = own - mixed
    back = (q * ratio).sum(-1)
    found = beta * (p * (wanted - mixed)).sum(-1) + (1 - beta) * back
    return found * (t * t), q * (ratio - back[:, None]) * ((1 - beta) * t)
