"""What the tables share: servers, answers, peers, and how time is measured."""
