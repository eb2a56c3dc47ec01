"""What a mask is worth: counting correct images, and turning counts into scores."""
