"""Images to few bytes and back by a trained model: losslessly by bits-back coding, or by a quantised code."""
