"""report.html: a personalisation as a page to look at, made anew from the model and the recordings."""
