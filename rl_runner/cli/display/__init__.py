"""What the commands print: tables, panels and progress."""
