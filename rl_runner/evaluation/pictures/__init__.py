"""Films, maps and plots of what agents do and reach."""
