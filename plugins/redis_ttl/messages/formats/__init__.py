"""A document as Slack blocks, mail or Markdown."""
