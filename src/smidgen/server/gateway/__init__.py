"""The gateway: certificates decide which requests are answered here; the others go to the fallback, within budget and privacy policy."""
