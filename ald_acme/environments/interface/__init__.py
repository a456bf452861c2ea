"""Interface of batched environments: specs, time steps, masks, the contract."""
