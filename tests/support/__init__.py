"""Code that several tests share: helpers, strict readers and the programs that tests start."""
