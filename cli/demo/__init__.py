"""`autodebit demo`: a year of a subscription, through the public API only, ending with an audit."""
