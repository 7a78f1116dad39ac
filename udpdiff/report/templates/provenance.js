// Provenance: jobs over time.
for (const figure of document.querySelectorAll("[data-timeline]")) Charts.timeline(figure, pageData.timeline);
