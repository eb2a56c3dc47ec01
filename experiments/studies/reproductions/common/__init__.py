"""What the reproductions share: base networks, counts of answers, training by epochs, figures and pages."""
