"""The codebook: what benign and attacking text look like in the detector's states. numpy only."""
