"""What is measured against peers, by hand: no rule runs this and nothing imports it. See README.md."""
