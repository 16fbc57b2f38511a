"""`autodebit demo`: a year of three subscriptions, through the public API only, ending with an audit."""
