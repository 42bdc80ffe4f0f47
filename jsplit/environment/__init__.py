"""What a decision brings: costs, changing conditions, and the outcome of every plan.

Here: `costs`, `profiles` (devices and links), `drift` and `scenario` (what changes
while a policy runs), `outcomes` (plans x samples to reward, cost, correct, exit). Not
here: who decides (`policies`).
"""
