"""Where rows come from and under which declared licence: policies, obligations, attribution, notices, pool rot."""
