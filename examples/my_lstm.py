"""A plugin in one function: an LSTM whose two products per step are one. Run it with

gatebench run -g lstm -i eager,mylab:one_product --batch 8 --seq-len 64 --hidden-size 128 --plugin examples/my_lstm.py
"""

import torch
import torch.nn.functional as F

import gatebench


@gatebench.implementation("mylab:one_product", gates=["lstm"])
def forward(params, inputs):
    weight = torch.cat((params["weight_ih"], params["weight_hh"]), dim=1)
    bias = params["bias_ih"] + params["bias_hh"]
    h, c, outputs = inputs["h0"], inputs["c0"], []
    for x_t in inputs["x"]:
        i, f, g, o = F.linear(torch.cat((x_t, h), dim=1), weight, bias).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h, "c": c}
